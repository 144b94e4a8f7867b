"""A server on a free port for each test that asks for one."""

import gc
import logging
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asynctools import Gates, tasks_left
from certificates import Certificates
from polling import eventually
from servertools import Serve, Served


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[Served] = []

    def start(app: Any, clock: Callable[[], float] | None = None, **settings: Any) -> Served:
        running.append(Served(app, clock, settings))
        return running[-1]

    yield start
    for served in running:
        served.stop()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep what a test provokes out of the log."""
    logger = logging.getLogger("dewar.server")
    logger.disabled = True
    yield
    logger.disabled = False


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("the tests of TLS make their certificates with the openssl command: install it")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def gates() -> Iterator[Gates]:
    """Gates that are open at the end; ask for them after `serve`, which waits for what is held."""
    gates = Gates()
    yield gates
    gates.open_all()


@pytest.fixture
def calm_loop() -> Iterator[None]:
    """See that no task is left on the event loop, and that asyncio has nothing to complain about.

    It complains of what is destroyed while it is pending, or was never awaited or looked at.
    """
    complaints: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: complaints.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    yield
    eventually(lambda: not tasks_left(), "the event loop without a task")
    gc.collect()
    logger.removeHandler(handler)
    assert complaints == []
