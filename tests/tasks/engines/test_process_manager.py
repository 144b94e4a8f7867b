"""The thread that manages the child processes: when it starts a process again."""

import errno

import pytest

from dewar.support.backoff import Backoff
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.processes.backlog import Backlog, WorkItem
from dewar.tasks.engines.processes.manager import ProcessManager
from dewar.tasks.engines.processes.startup import MAX_STARTUP_FAILURES, startup_pause
from dewar.tasks.engines.processes.worker import ProcessWorker
from dewar.tasks.engines.settle import EngineState, call_name
from dewar.tasks.job import Job


def test_deaths_in_a_row_end_the_attempts() -> None:
    """Each pause is longer than the one before. The fourth death is the last."""
    backoff = Backoff(startup_pause)
    pauses = []
    for now in (10.0, 20.0, 30.0):
        backoff.note_failure(now)
        assert backoff.failures < MAX_STARTUP_FAILURES
        pauses.append(backoff.until - now)
    assert pauses == sorted(pauses)
    assert pauses[0] > 0
    backoff.note_failure(40.0)
    assert backoff.failures == MAX_STARTUP_FAILURES


def test_one_that_gets_ready_begins_the_count_anew() -> None:
    """The cause has been repaired."""
    backoff = Backoff(startup_pause)
    for _ in range(10):
        backoff.note_failure(1.0)
        backoff.note_success()
    assert backoff.failures == 0
    assert backoff.until == 0.0


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_shortage_breaks_no_pool(number: int, caplog: pytest.LogCaptureFixture) -> None:
    """As often as the system refuses a process, the jobs wait; a line in 10 seconds says so."""
    backlog, now = Backlog(), [100.0]
    job = Job()
    backlog.put(WorkItem(job, "add", b"", None))

    def make() -> ProcessWorker:
        raise OSError(number, "no more")

    manager = ProcessManager(backlog, 1, make, clock=lambda: now[0])
    for _ in range(3 * MAX_STARTUP_FAILURES):
        manager._start_missing()
        assert backlog.state is EngineState.OPEN
        assert len(backlog) == 1
        now[0] += 2.0
    assert not job.done()
    told = [record.getMessage().partition("no more")[2] for record in caplog.records]
    assert told == ["", *2 * [" (and 4 more since the last such line)"]]
    manager.close_descriptors()


def test_an_error_that_stays_breaks_the_pool() -> None:
    """Its jobs do not wait for ever."""
    backlog = Backlog()
    job = Job()
    backlog.put(WorkItem(job, "add", b"", None))

    def make() -> ProcessWorker:
        raise TypeError("cannot pickle")

    manager = ProcessManager(backlog, 1, make)
    manager._start_missing()
    assert backlog.state is EngineState.BROKEN
    assert job.exception(0) is not None
    manager.close_descriptors()


def test_a_job_that_dies_is_named_by_its_task() -> None:
    """Not by the function of the framework that runs all tasks."""
    call = JobCall(print, (), {}, described=("id", "resize", 1))
    assert "that ran resize ended by signal 9" in str(
        WorkItem(Job(), call_name(call), b"", None).death(-9)
    )
