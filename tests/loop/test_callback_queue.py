"""The thread that calls what was added to jobs."""

import logging
import threading

import pytest

from dewar.loop.callback_queue import CallbackQueue


def test_functions_are_called_in_order_on_one_thread() -> None:
    """Nothing of it runs on the caller's thread, and the stop waits for what was put."""
    queue = CallbackQueue()
    calls: list[tuple[int, str]] = []
    for number in range(20):
        queue.call_soon(lambda n: calls.append((n, threading.current_thread().name)), number)
    queue.stop(10.0)
    assert [number for number, _ in calls] == list(range(20))
    assert {name for _, name in calls} == {"dewar-tasks-callbacks"}


def test_one_that_fails_is_logged_and_the_next_is_called(caplog: pytest.LogCaptureFixture) -> None:
    """As concurrent.futures does with done-callbacks."""
    queue = CallbackQueue()
    called = threading.Event()
    with caplog.at_level(logging.ERROR, logger="dewar.tasks"):
        queue.call_soon(lambda _: 1 / 0, None)
        queue.call_soon(lambda _: called.set(), None)
        assert called.wait(10)
        queue.stop(10.0)
    assert "ZeroDivisionError" in caplog.text


def test_it_begins_again_after_a_stop() -> None:
    """A function that comes late still finds a thread."""
    queue = CallbackQueue()
    queue.stop(1.0)
    called = threading.Event()
    queue.call_soon(lambda _: called.set(), None)
    assert called.wait(10)
    queue.stop(10.0)
