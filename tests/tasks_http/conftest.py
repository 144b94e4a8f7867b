"""Jobs in memory, and a server for an app that shows them."""

from collections.abc import Iterator
from typing import Any

import pytest

from jobtools import Jobs
from servertools import Serve, Served


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[Served] = []

    def start(app: Any, **settings: Any) -> Served:
        running.append(Served(app, None, settings))
        return running[-1]

    yield start
    for served in running:
        served.stop()
