"""Event loops with a time of their own, and servers."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from eventtools import VirtualLoop
from servertools import Serve, Served


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    """A loop on which nothing may be left behind."""
    made = VirtualLoop()
    yield made
    left = asyncio.all_tasks(made)
    made.run_until_complete(made.shutdown_asyncgens())
    made.close()
    gc.collect()
    assert (left, made.complaints) == (set(), [])


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[Served] = []

    def start(app: Any, **settings: Any) -> Served:
        running.append(Served(app, None, settings))
        return running[-1]

    yield start
    for served in running:
        served.stop()
