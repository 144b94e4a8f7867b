"""A few threads for what the event loop must not do."""

import threading
from contextvars import ContextVar
from queue import SimpleQueue

import pytest

from dewar.server.loop.hands import Hands

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


def test_no_more_threads_are_started_than_are_needed() -> None:
    """One that is idle takes the next; else another is started, up to the most."""
    hands = Hands("few", 2)
    gate = threading.Barrier(3, timeout=30)
    names: SimpleQueue[str] = SimpleQueue()

    def work() -> None:
        gate.wait()
        names.put(threading.current_thread().name)

    for _ in range(4):
        hands.submit(work)
    gate.wait()
    gate.wait()
    assert {names.get(timeout=30) for _ in range(4)} == {"few-1", "few-2"}
    assert "2 of 2 threads" in repr(hands)


def test_they_begin_in_an_empty_context() -> None:
    """Nothing of whoever gave them something first."""
    _seen.set("mine")
    answers: SimpleQueue[str] = SimpleQueue()
    Hands("empty", 1).submit(lambda: answers.put(_seen.get()))
    assert answers.get(timeout=30) == "nothing"


@pytest.mark.parametrize("most", [1, 3])
def test_all_that_is_given_at_once_is_done(most: int) -> None:
    """From several threads; and they are daemons, which keep no process from ending."""
    hands = Hands("all", most)
    done: SimpleQueue[tuple[int, bool]] = SimpleQueue()

    def give(number: int) -> None:
        for count in range(50):
            hands.submit(
                lambda: done.put((number * 50 + count, threading.current_thread().daemon))  # noqa: B023
            )

    givers = [threading.Thread(target=give, args=(number,)) for number in range(4)]
    for giver in givers:
        giver.start()
    for giver in givers:
        giver.join()
    assert all(done.get(timeout=30)[1] for _ in range(200))
