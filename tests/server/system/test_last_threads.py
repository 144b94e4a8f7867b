"""The last threads of a process, and how they are named."""

import threading
from collections.abc import Iterator

import pytest

from dewar.server.system.last_threads import describe_threads, last_threads
from dewar.support.background_thread import BackgroundThread
from polling import eventually


class Waiting:
    """Threads that wait until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def start(self, thread: threading.Thread) -> threading.Thread:
        """Start *thread*."""
        thread.start()
        return thread

    def wait_over(self) -> None:
        """Wait."""
        self.over.wait()


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """Threads that end with the test."""
    made = Waiting()
    yield made
    made.over.set()


def test_daemons_and_threads_of_ours_are_not_waited_for(waiting: Waiting) -> None:
    """Nor is the main thread, which waits."""
    before = last_threads()
    waiting.start(threading.Thread(target=waiting.wait_over, daemon=True))
    waiting.start(BackgroundThread("ours", waiting.wait_over))
    own = waiting.start(threading.Thread(target=waiting.wait_over))
    assert [thread for thread in last_threads() if thread not in before] == [own]


def test_a_thread_is_named_with_the_place_where_it_is(waiting: Waiting) -> None:
    """In its own code, not in that of the standard library."""

    def send() -> None:
        waiting.over.wait()

    thread = waiting.start(threading.Thread(target=send, name="mailer"))
    line = send.__code__.co_firstlineno + 1
    eventually(lambda: describe_threads([thread]) == f"mailer (send at {__file__}:{line})")


def test_a_thread_that_has_ended_has_no_place() -> None:
    """It may end between two looks."""
    thread = threading.Thread(target=str, name="short")
    thread.start()
    thread.join()
    assert describe_threads([thread]) == "short (ending)"
