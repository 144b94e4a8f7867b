"""`BackgroundThread`: no exit waits for it, and it makes no daemons."""

import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from architecture.tree import SOURCES, name_of
from dewar.support.background_thread import BackgroundThread

variable: ContextVar[str] = ContextVar("variable", default="none")


def made_in(thread_class: type[threading.Thread], **options: bool) -> bool:
    """Return whether a thread that a background thread makes is a daemon."""
    made: list[bool] = []

    def make() -> None:
        thread = BackgroundThread("inner", lambda: made.append(threading.Thread().daemon))
        thread.start()
        thread.join()

    outer = thread_class(target=make, **options)  # type: ignore[arg-type]
    outer.start()
    outer.join()
    return made[0]


@pytest.mark.parametrize("daemon", [True, False])
def test_what_it_makes_is_what_the_thread_that_made_it_is(daemon: bool) -> None:
    """A daemon only inside a daemon."""
    assert made_in(threading.Thread, daemon=daemon) is daemon


def test_what_it_makes_through_others_is_no_daemon() -> None:
    """Neither by another background thread nor by a timer."""
    found: list[bool] = []

    def second() -> None:
        timer = threading.Timer(0, lambda: found.append(threading.current_thread().daemon))
        timer.start()
        timer.join()

    def first() -> None:
        inner = BackgroundThread("second", second)
        inner.start()
        inner.join()

    thread = BackgroundThread("first", first)
    assert thread.daemon
    thread.start()
    thread.join()
    assert found == [False]


def test_its_context_is_empty() -> None:
    """In each version of Python; the arguments are passed on."""
    found: list[tuple[str, int]] = []
    variable.set("mine")
    thread = BackgroundThread("reader", lambda number: found.append((variable.get(), number)), 5)
    thread.start()
    thread.join()
    assert found == [("none", 5)]


def test_no_exit_waits_for_it() -> None:
    """Although it says of itself that it is no daemon."""
    script = """
import threading
from dewar.support.background_thread import BackgroundThread
began = threading.Event()
def wait():
    began.set()
    threading.Event().wait()
BackgroundThread("endless", wait).start()
began.wait()
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=30, check=False).returncode == 0


def test_no_other_thread_of_ours_is_a_daemon() -> None:
    """What it starts for an application would be one too, and be cut off at the exit."""
    daemons = [name_of(path) for path in SOURCES if "daemon=True" in path.read_text("utf-8")]
    assert daemons == []
