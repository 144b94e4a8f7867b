"""A folder with an app to load, a process that is the same after each test, and a calm loop."""

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, settings

from asynctools import tasks_left
from dewar.signals import appcontext_pushed
from polling import eventually

# How long an example takes is a matter of what else runs on the machine: of the other workers of
# the suite, for instance. What has to be quick is measured by the benchmarks.
settings.register_profile(
    "suite", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the notes of tests that have passed."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "note":
                terminalreporter.line(f"{report.nodeid}: {text}")


@pytest.fixture
def same_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what loading an app does to the environment and to what is imported."""
    for name in list(os.environ):
        if name.startswith(("DEWAR_", "FLASK_")):
            monkeypatch.delenv(name)
    environ, path, modules = dict(os.environ), list(sys.path), set(sys.modules)
    yield
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin is not None and "pytest-" in origin:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _same_settings() -> Iterator[None]:
    """Take back the variables that a command has set for programs, as on a command line."""
    before = set(os.environ)
    yield
    for name in set(os.environ) - before:
        if name.startswith(("DEWAR_", "FLASK_")):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _no_receivers() -> Iterator[None]:
    """Collect what listens to each context: while something does, no request is for the loop."""
    yield
    if appcontext_pushed.receivers:
        gc.collect()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[[str, str], Path]:
    """Write a file into the working directory."""

    def write_file(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write_file


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
