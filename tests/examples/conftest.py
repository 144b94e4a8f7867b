import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[2]))  # where the package `examples` is
os.environ.setdefault("SECRET_KEY", "that of the tests")  # so that importing them keeps none

from examples.tour import app as tour
from examples.tour.notes import Notes


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record how long the views would have waited."""
    recorded: list[float] = []
    monkeypatch.setitem(tour.config, "PAUSE", recorded.append)
    return recorded


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[float], Any]], None]:
    """Let a view wait for what the test says."""
    return lambda pause: monkeypatch.setitem(tour.config, "PAUSE", pause)


@pytest.fixture
def app(waits: list[float]) -> Iterator[Any]:
    """The tour with an empty guestbook, waiting for nothing."""
    tour.extensions["notes"] = Notes()
    yield tour
    tour.extensions["notes"] = Notes()


@pytest.fixture
def client(app: Any) -> Any:
    """A browser with no cookies yet."""
    return app.test_client()
