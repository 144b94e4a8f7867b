"""`Staff`: no request waits while a thread is parked, and none is given to one that has ended."""

from typing import Any

import pytest

from dewar.server.threads.staff import Staff


class FakeWorker:
    """A thread that notes how it is called."""

    def __init__(self, is_started: bool = True) -> None:
        self.is_started = is_started
        self.calls: list[Any] = []

    def start(self) -> None:
        """Start."""
        self.is_started = True

    def wake(self, job: Any = None) -> None:
        """Note the call."""
        self.calls.append(job)


@pytest.fixture
def workers() -> list[Any]:
    return [FakeWorker() for _ in range(2)]


@pytest.fixture
def staff(workers: list[Any]) -> Staff:
    return Staff(workers, FakeWorker(), 10)  # type: ignore[arg-type]


def test_a_request_goes_to_a_parked_thread_or_waits(staff: Staff, workers: list[Any]) -> None:
    """And whoever submits it is told which."""
    first, second, third = object(), object(), object()
    assert staff.submit(first)  # type: ignore[arg-type]
    assert staff.submit(second)  # type: ignore[arg-type]
    assert not staff.has_waiting()
    assert not staff.submit(third)  # type: ignore[arg-type]
    assert staff.has_waiting()
    assert [worker.calls for worker in workers] == [[first], [second]]
    assert staff.next_or_park(workers[0]) is third
    assert not staff.has_waiting()


def test_a_thread_that_is_put_back_takes_what_has_come_meanwhile(
    staff: Staff, workers: list[Any]
) -> None:
    """It was to lead, and another did after all; a request that came then does not wait for it."""
    taken = [staff.maybe_worker(), staff.maybe_worker()]
    job = object()
    assert not staff.submit(job)  # type: ignore[arg-type]
    staff.put_back(taken[0])  # type: ignore[arg-type]
    assert workers[0].calls == [job]
    staff.put_back(taken[1])  # type: ignore[arg-type]
    assert workers[1].calls == []
    assert staff.maybe_worker() is workers[1]


def test_a_thread_that_ends_is_called_no_more(staff: Staff, workers: list[Any]) -> None:
    """Unless it was called before it could tell: then it has to look."""
    assert staff.withdraw(workers[0])
    job = object()
    assert staff.submit(job)  # type: ignore[arg-type]
    assert workers[1].calls == [job]
    assert not staff.withdraw(workers[1])
    assert not staff.submit(object())  # type: ignore[arg-type]
    assert workers[0].calls == []
