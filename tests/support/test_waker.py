"""A waker makes a descriptor readable from any thread."""

import select
import threading
from collections.abc import Iterator

import pytest

from dewar.support.waker import Waker


@pytest.fixture
def waker() -> Iterator[Waker]:
    waker = Waker()
    yield waker
    waker.close()


def is_readable(waker: Waker) -> bool:
    return bool(select.select([waker.fd], [], [], 0)[0])


def test_it_is_readable_between_wake_and_clear(waker: Waker) -> None:
    """One clear is enough for many wake-ups, which it returns, and a second one is harmless."""
    assert not is_readable(waker)
    for _ in range(3):
        waker.wake()
    assert is_readable(waker)
    assert waker.clear() == b"\0\0\0"
    assert not is_readable(waker)
    assert waker.clear() == b""


def test_a_full_waker_takes_more_wake_ups(waker: Waker) -> None:
    """The buffer of the socket is finite; the caller never blocks."""
    for _ in range(100_000):
        waker.wake()
    assert is_readable(waker)


def test_wait_returns_with_a_wake_up_of_another_thread(waker: Waker) -> None:
    """The wake-up is cleared by the wait."""
    thread = threading.Thread(target=waker.wake)
    thread.start()
    assert waker.wait(30) == b"\0"
    thread.join()
    assert not is_readable(waker)


def test_wait_returns_after_its_timeout(waker: Waker) -> None:
    """Without a wake-up it gives up, and the descriptor does not block afterwards."""
    assert waker.wait(0.0) == b""
    assert waker.clear() == b""


def test_a_closed_waker_is_woken_in_vain() -> None:
    """A thread that is late with its wake-up does no harm."""
    waker = Waker()
    waker.close()
    waker.wake()
