"""The table of jobs that remote workers have."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait

import pytest

from dewar.loop.call_queue import CallQueue
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.remote.in_flight import ATTEMPTS, InFlightJobs, InFlightState
from dewar.tasks.errors import JobLost, WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress

LIMIT = 10.0


@pytest.fixture
def settling_queue() -> Iterator[CallQueue]:
    settling_queue = CallQueue("test")
    yield settling_queue
    settling_queue.close()


@pytest.fixture
def table(settling_queue: CallQueue) -> InFlightJobs:
    return InFlightJobs(settling_queue)


def enter(table: InFlightJobs, name: str = "a") -> Job:
    job = Job()
    table.add(name, job, JobCall(len, (), {}))
    job.add_done_callback(table.withdraw)
    return job


def test_a_job_runs_when_a_worker_has_asked(table: InFlightJobs) -> None:
    """Not before. It ends with the outcome that the worker sends."""
    job = enter(table)
    assert not job.running()
    assert table.ask("a", "worker") == 1
    assert job.running()
    table.finish("a", 7)
    assert job.result(LIMIT) == 7
    assert len(table) == 0


def test_asking_twice_is_answered_alike(table: InFlightJobs) -> None:
    """A message may arrive twice. That does not start another attempt."""
    enter(table)
    assert [table.ask("a", "one"), table.ask("a", "one"), table.ask("a", "two")] == [1, 1, 2]


def test_a_cancelled_job_may_not_begin(table: InFlightJobs) -> None:
    """Its worker is refused, and wait() returns."""
    job = enter(table)
    assert job.cancel()
    assert table.ask("a", "worker") == 0
    assert wait([job], LIMIT).done == {job}
    table.finish("a", 7)
    assert job.cancelled()


def test_a_job_that_has_ended_is_not_in_the_table(table: InFlightJobs) -> None:
    """Later messages about it are dropped."""
    job = enter(table)
    table.ask("a", "worker")
    table.fail("a", KeyError("x"))
    table.finish("a", 7)
    table.set_progress("a", Progress(1.0))
    assert isinstance(job.exception(LIMIT), KeyError)
    assert table.ask("a", "worker") == 0
    assert job.progress is None


def test_a_job_that_kills_its_workers_is_given_up(table: InFlightJobs) -> None:
    """It ends with WorkerDied, and the next worker is refused."""
    job = enter(table)
    answers = [table.ask("a", f"worker {number}") for number in range(ATTEMPTS + 1)]
    assert answers == [1, 2, 3, 4, 0]
    assert isinstance(job.exception(LIMIT), WorkerDied)


def test_a_job_that_may_not_be_repeated_is_lost_with_its_worker(table: InFlightJobs) -> None:
    """The next worker is refused."""
    job = Job()
    table.add("a", job, JobCall(len, (), {}, repeatable=False))
    assert [table.ask("a", "one"), table.ask("a", "one"), table.ask("a", "two")] == [1, 1, 0]
    assert isinstance(job.exception(LIMIT), JobLost)


def test_a_job_that_is_being_stopped_never_begins_again(table: InFlightJobs) -> None:
    """If its worker dies first, the job ends as cancelled."""
    job = enter(table)
    assert table.stop(job) is None
    table.ask("a", "one", stoppable=True)
    one = table.stop(job)
    assert one is not None
    assert one.state is InFlightState.STOPPING
    assert table.ask("a", "two", stoppable=True) == 0
    assert isinstance(job.exception(LIMIT), CancelledError)


def test_a_job_that_no_one_can_stop_stays_running(table: InFlightJobs) -> None:
    """It may begin again if its worker dies."""
    job = enter(table)
    table.ask("a", "one", stoppable=False)
    one = table.stop(job)
    assert one is not None
    assert one.state is InFlightState.RUNNING


def test_a_job_may_fail_before_it_began(table: InFlightJobs) -> None:
    """For example if the broker has lost it."""
    job = enter(table)
    table.fail("a", KeyError("lost"))
    assert isinstance(job.exception(LIMIT), KeyError)


def test_a_job_that_refuses_to_run_does_not_begin(table: InFlightJobs) -> None:
    """set_running_or_notify_cancel() decides, and is called once."""

    class Refused(Job):
        def set_running_or_notify_cancel(self) -> bool:
            return False

    table.add("a", Refused(), JobCall(len, (), {}))
    assert table.ask("a", "worker") == 0
    assert len(table) == 0


def test_it_reports_that_the_last_job_has_left(settling_queue: CallQueue) -> None:
    """Cancelled or finished."""
    calls: list[int] = []
    table = InFlightJobs(settling_queue, lambda: calls.append(1))
    job = enter(table)
    enter(table, "b")
    job.cancel()
    assert calls == []
    table.finish("b", 1)
    assert calls == [1]
    table.wait_until_empty()


def test_it_counts(table: InFlightJobs) -> None:
    """The jobs that wait, that run and that have ended."""
    enter(table)
    enter(table, "b")
    table.ask("b", "worker")
    counts = table.statistics("test")
    assert (counts.queued, counts.running, counts.finished) == (1, 1, 0)
    table.drop("a")
    assert table.statistics("test").finished == 1
    assert "1" in repr(table)


def test_cancelling_and_asking_at_once_agree(settling_queue: CallQueue) -> None:
    """Either the job is cancelled and its worker is refused, or it runs and is not cancelled."""
    table = InFlightJobs(settling_queue)
    with ThreadPoolExecutor(2) as threads:
        for number in range(300):
            job = enter(table, str(number))
            gate = threading.Barrier(2)

            def ask(name: str = str(number), gate: threading.Barrier = gate) -> int:
                gate.wait(LIMIT)
                return table.ask(name, "worker")

            def cancel(job: Job = job, gate: threading.Barrier = gate) -> bool:
                gate.wait(LIMIT)
                return job.cancel()

            asked, cancelled = threads.submit(ask), threads.submit(cancel)
            assert (asked.result(LIMIT) == 0) is cancelled.result(LIMIT)
            if cancelled.result():
                assert wait([job], LIMIT).done == {job}
            else:
                table.finish(str(number), 1)
    assert len(table) == 0


def test_losing_a_job_and_cancelling_it_at_once_agree(settling_queue: CallQueue) -> None:
    """It has one outcome, and wait() returns."""
    table = InFlightJobs(settling_queue)
    with ThreadPoolExecutor(2) as threads:
        for number in range(300):
            job = enter(table, str(number))
            gate = threading.Barrier(2)

            def lose(name: str = str(number), gate: threading.Barrier = gate) -> None:
                gate.wait(LIMIT)
                table.fail(name, KeyError(name))

            def cancel(job: Job = job, gate: threading.Barrier = gate) -> None:
                gate.wait(LIMIT)
                job.cancel()

            wait([threads.submit(lose), threads.submit(cancel)], LIMIT)
            assert wait([job], LIMIT).done == {job}
    assert len(table) == 0
