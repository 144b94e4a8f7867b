"""`WorkQueue`: no request waits while a thread is idle, and none is given to one that has ended."""

from typing import Any

import pytest

from dewar.server.threads.work_queue import WorkQueue


class FakeWorker:
    """A thread that notes how it is called."""

    def __init__(self, is_started: bool = True) -> None:
        self.is_started = is_started
        self.calls: list[Any] = []

    def try_start(self) -> bool:
        """Start."""
        self.is_started = True
        return True

    def wake(self, connection: Any = None) -> None:
        """Note the call."""
        self.calls.append(connection)


class FakeConnection:
    """A connection with a new request, or with one that the application has begun."""

    def __init__(self, has_begun: bool = False) -> None:
        self._has_begun = has_begun

    def has_begun(self) -> bool:
        """Return which."""
        return self._has_begun


@pytest.fixture
def workers() -> list[Any]:
    return [FakeWorker() for _ in range(2)]


@pytest.fixture
def work_queue(workers: list[Any]) -> WorkQueue:
    return WorkQueue(workers, FakeWorker(), 10)  # type: ignore[arg-type]


def test_a_request_goes_to_an_idle_thread_or_waits(
    work_queue: WorkQueue, workers: list[Any]
) -> None:
    """And the caller learns which."""
    first, second, third = FakeConnection(), FakeConnection(), FakeConnection()
    assert work_queue.submit(first)  # type: ignore[arg-type]
    assert work_queue.submit(second)  # type: ignore[arg-type]
    assert not work_queue.has_waiting()
    assert not work_queue.submit(third)  # type: ignore[arg-type]
    assert work_queue.has_waiting()
    assert [worker.calls for worker in workers] == [[first], [second]]
    assert work_queue.next_or_idle(workers[0]) is third
    assert not work_queue.has_waiting()


def test_a_thread_that_is_put_back_takes_what_has_come_meanwhile(
    work_queue: WorkQueue, workers: list[Any]
) -> None:
    """It was to lead, but another thread did; a request that came meanwhile does not wait."""
    taken = [work_queue.maybe_worker(), work_queue.maybe_worker()]
    connection = FakeConnection()
    assert not work_queue.submit(connection)  # type: ignore[arg-type]
    work_queue.put_back(taken[0])  # type: ignore[arg-type]
    assert workers[0].calls == [connection]
    work_queue.put_back(taken[1])  # type: ignore[arg-type]
    assert workers[1].calls == []
    assert work_queue.maybe_worker() is workers[1]


def test_a_thread_that_ends_is_called_no_more(work_queue: WorkQueue, workers: list[Any]) -> None:
    """Unless it was woken before that: then it has to run the request."""
    assert work_queue.withdraw(workers[0])
    connection = FakeConnection()
    assert work_queue.submit(connection)  # type: ignore[arg-type]
    assert workers[1].calls == [connection]
    assert not work_queue.withdraw(workers[1])
    assert not work_queue.submit(FakeConnection())  # type: ignore[arg-type]
    assert workers[0].calls == []


def test_what_the_application_has_begun_keeps_no_new_request_out(
    work_queue: WorkQueue, workers: list[Any]
) -> None:
    """A thousand clients may leave at once, and each end may need a thread for a moment."""
    for _ in workers:
        work_queue.maybe_worker()
    waiting = [FakeConnection(has_begun=number % 3 > 0) for number in range(27)]
    for connection in waiting:
        assert not work_queue.submit(connection)  # type: ignore[arg-type]
    assert not work_queue.is_full()
    assert work_queue.counts() == (0, 27)
    work_queue.submit(FakeConnection())  # type: ignore[arg-type]
    assert work_queue.is_full()
    # In the order in which they have come, so that a long response lets others pass.
    assert [work_queue.next_or_idle(workers[0]) for _ in range(27)] == waiting
    assert not work_queue.is_full()
    assert len(work_queue.take_waiting()) == 1
