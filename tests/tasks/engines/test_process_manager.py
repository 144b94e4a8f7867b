"""The thread that manages the child processes: what it starts, tells and ends, and when."""

import errno
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from dewar.support.backoff import Backoff
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.processes.backlog import Backlog, WorkItem
from dewar.tasks.engines.processes.manager import ProcessManager
from dewar.tasks.engines.processes.messages import FrameKind, pack_number, pack_result
from dewar.tasks.engines.processes.startup import MAX_STARTUP_FAILURES, startup_pause
from dewar.tasks.engines.processes.worker import ProcessWorker, ProcessWorkerState
from dewar.tasks.engines.processes.worker_limits import WorkerLimits
from dewar.tasks.engines.settle import EngineState, call_name
from dewar.tasks.errors import JobTimeout
from dewar.tasks.job import Job

_BUSY, _IDLE, _RETIRING = (
    ProcessWorkerState.BUSY,
    ProcessWorkerState.IDLE,
    ProcessWorkerState.RETIRING,
)


class WorkerAtHand(ProcessWorker):
    """A worker without a process: it notes what is sent, and the manager keeps its time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[FrameKind] = []
        self.killed_with: list[BaseException | None] = []
        super().__init__(_NoProcess(), False, None, ())

    def start(self) -> None:
        """Do not start anything."""

    def write(self) -> None:
        self.sent.append(FrameKind.CALL)
        self._unsent = memoryview(b"")

    def tell(self, kind: FrameKind) -> None:
        self.sent.append(kind)

    def kill(self, exit_outcome: BaseException | None = None) -> None:
        self.deadline = None
        self.killed_with.append(exit_outcome)


class _NoProcess:
    """A context of multiprocessing whose processes and connections do nothing."""

    class _End:
        def close(self) -> None:
            pass

        def fileno(self) -> int:
            return 1 << 20  # none of this process

    def Pipe(self, **_: Any) -> tuple[Any, Any]:  # multiprocessing's name
        return self._End(), self._End()

    class _Process:
        sentinel = -1

    def Process(self, **_: Any) -> Any:
        return self._Process()


class Managed:
    """A manager in virtual time, with its backlog and workers."""

    def __init__(self, workers: int, limits: WorkerLimits) -> None:
        self.now = 100.0
        self.backlog = Backlog()
        self.jobs: list[Job] = []
        self.manager = ProcessManager(
            self.backlog, workers, self.make, limits, clock=lambda: self.now
        )

    def make(self) -> ProcessWorker:
        return WorkerAtHand(f"worker {len(self.workers)}")

    @property
    def workers(self) -> list[WorkerAtHand]:
        return self.manager.workers  # type: ignore[return-value]

    def submit(self, timeout: float | None = None, soft_timeout: float | None = None) -> Job:
        job = Job()
        self.backlog.put(WorkItem(job, "resize", b"", timeout, soft_timeout))
        return job

    def add_idle(self) -> WorkerAtHand:
        worker = WorkerAtHand(f"worker {len(self.workers)}")
        worker.state = _IDLE
        self.workers.append(worker)
        return worker

    def end_job(self, worker: ProcessWorker, memory: int = 0) -> None:
        if memory:
            self.manager._on_message(worker, FrameKind.MEMORY, pack_number(memory))
        self.manager._on_message(worker, FrameKind.RESULT, pack_result("resize", None))

    def step(self) -> None:
        self.manager._stop_requested()
        self.manager._tell_soft_limits()
        self.manager._stop_overdue()
        self.manager._assign()


@pytest.fixture
def managed(request: pytest.FixtureRequest) -> Iterator[Managed]:
    made = Managed(*request.param)
    yield made
    made.manager.close_descriptors()


plain = pytest.mark.parametrize("managed", [(1, WorkerLimits())], indirect=True)


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


@plain
def test_a_soft_limit_is_told_when_it_is_over(managed: Managed) -> None:
    """Once, and not to the next job; the manager wakes up for it."""
    worker = managed.add_idle()
    managed.submit(timeout=60.0, soft_timeout=5.0)
    managed.step()
    assert managed.manager._poll_timeout() == 5.0
    managed.now += 5.0
    managed.step()
    managed.step()
    assert worker.sent == [FrameKind.CALL, FrameKind.SOFT_TIMEOUT]
    assert managed.manager._poll_timeout() == 55.0
    managed.end_job(worker)
    managed.submit()
    managed.now += 100.0
    managed.step()
    assert worker.sent[2:] == [FrameKind.CALL]
    assert managed.manager._poll_timeout() is None


@plain
def test_a_job_that_is_stopped_is_asked_first_and_killed_later(managed: Managed) -> None:
    """It has its grace. What it does within that is its outcome."""
    worker = managed.add_idle()
    first = managed.submit(timeout=60.0)
    managed.step()
    managed.manager.ask_to_stop(first, 3.0)
    managed.step()
    assert worker.sent == [FrameKind.CALL, FrameKind.CANCEL]
    managed.now += 2.9
    managed.step()
    assert worker.killed_with == []
    managed.end_job(worker)
    assert first.result(0) is None
    second = managed.submit()
    managed.step()
    managed.now += 10.0
    managed.step()
    assert worker.killed_with == []
    managed.manager.ask_to_stop(second, 0.0)
    managed.step()
    assert [type(outcome) for outcome in worker.killed_with] == [CancelledError]


@plain
def test_a_grace_does_not_prolong_the_timeout(managed: Managed) -> None:
    """A job that is asked to end is killed at its deadline all the same."""
    worker = managed.add_idle()
    job = managed.submit(timeout=2.0)
    managed.step()
    managed.manager.ask_to_stop(job, 3.0)
    managed.step()
    managed.now += 2.0
    managed.step()
    assert [type(outcome) for outcome in worker.killed_with] == [JobTimeout]


@pytest.mark.parametrize("managed", [(1, WorkerLimits(max_jobs=2))], indirect=True)
def test_a_process_is_replaced_while_jobs_wait(managed: Managed) -> None:
    """After its last job it gets no other. Its successor is ready by then, and begins after it."""
    manager, old = managed.manager, managed.add_idle()
    for _ in range(4):
        managed.submit()
    managed.step()
    assert not old.is_leaving
    managed.end_job(old)
    managed.step()
    assert (old.state, old.is_leaving) == (_BUSY, True)
    started: list[ProcessWorker] = []
    manager._start = lambda: started.append(managed.add_idle())  # type: ignore[method-assign]
    manager._start_missing()
    manager._start_missing()
    assert len(started) == 1
    managed.step()
    assert started[0].state is _IDLE
    managed.end_job(old)
    assert old.state is _RETIRING
    managed.step()
    assert started[0].state is _BUSY
    assert len(managed.backlog) == 1


@pytest.mark.parametrize("managed", [(2, WorkerLimits(max_memory=1000))], indirect=True)
def test_a_process_with_too_much_memory_is_replaced(
    managed: Managed, caplog: pytest.LogCaptureFixture
) -> None:
    """After the job that made it so, which has its result. One line says so."""
    small, large = managed.add_idle(), managed.add_idle()
    jobs = [managed.submit() for _ in range(3)]
    managed.step()
    managed.end_job(small, memory=1000)
    managed.end_job(large, memory=1001)
    assert (small.state, large.state) == (_IDLE, _RETIRING)
    assert [job.done() for job in jobs] == [True, True, False]
    managed.step()
    assert small.state is _BUSY
    (line,) = caplog.records
    assert "is replaced after 1 jobs: it has 0.0 MiB" in line.getMessage()
    assert managed.manager.replaced == 0
