"""Stored jobs that are asked to end, or have a soft limit, on threads."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from dewar import Dewar
from dewar.tasks.errors import SoftTimeLimitExceeded, TaskSetupError
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from polling import eventually

MakeTasks = Callable[..., Tasks]
_SOON = 20.0


@pytest.fixture
def app(tmp_path: Path) -> Dewar:
    return Dewar(__name__, instance_path=str(tmp_path / "instance"))


@pytest.fixture
def make_tasks(app: Dewar) -> Iterator[MakeTasks]:
    made: list[Tasks] = []

    def make(**settings: Any) -> Tasks:
        made.append(Tasks(app, **{"poll": 0.02, **settings}))
        return made[-1]

    yield make
    for tasks in made:
        tasks.stop(_SOON)


@pytest.fixture
def tasks(make_tasks: MakeTasks) -> Tasks:
    return make_tasks(threads=2)


class Held:
    """Holds a job until the test lets it go, or until it is to end."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.open = threading.Event()

    def wait_told(self) -> None:
        self.began.release()
        eventually(lambda: self.open.is_set() or current_job.is_cancelled)

    def wait_begun(self) -> None:
        assert self.began.acquire(timeout=_SOON)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.open.set()


def test_a_job_that_ends_when_it_is_told_is_cancelled(tasks: Tasks, held: Held) -> None:
    """In the ledger as well, whatever `retries` says."""

    @tasks.task(retries=3)
    def work() -> None:
        held.wait_told()
        current_job.raise_if_cancelled()

    job = work.submit()
    held.wait_begun()
    assert job.stop()
    with pytest.raises(CancelledError):
        job.result(_SOON)
    assert job.cancelled()
    assert job.status().state is JobState.CANCELLED
    assert job.status().attempts == 1
    assert job.stop()  # as `cancel` of one that is cancelled


def test_a_job_that_returns_is_done(tasks: Tasks, held: Held) -> None:
    """It looks and has something to return, or does not look at all."""

    @tasks.task()
    def work() -> bool:
        held.wait_told()
        return bool(current_job.is_cancelled)

    job = work.submit()
    held.wait_begun()
    assert tasks.cancel(job.id, running=True)
    assert job.result(_SOON) is True
    assert job.status().state is JobState.DONE
    assert not job.stop()


def test_a_job_that_was_told_never_begins_again(tasks: Tasks, held: Held) -> None:
    """It fails, and has attempts left; that it is to end is in the ledger meanwhile."""

    @tasks.task(retries=3, backoff=0)
    def work() -> None:
        held.began.release()
        assert held.open.wait(_SOON)
        raise ValueError("no good")

    job = work.submit()
    held.wait_begun()
    assert job.stop()
    owner = tasks.runtime._runner._owner
    eventually(lambda: tasks.ledger.stop_requests(owner) == [job.id])
    held.open.set()
    eventually(job.done)
    assert job.status().state is JobState.CANCELLED
    assert job.status().attempts == 1


def test_only_a_job_that_was_told_is_cancelled_by_its_error(tasks: Tasks) -> None:
    """Another that raises the same has failed: it waited for something that was cancelled."""

    @tasks.task()
    def work() -> None:
        current_job.raise_if_cancelled()
        raise CancelledError("of another")

    job = work.submit()
    assert isinstance(job.exception(_SOON), CancelledError)
    assert job.status().state is JobState.FAILED


def test_a_coroutine_is_cancelled_on_the_loop_of_the_process(tasks: Tasks, held: Held) -> None:
    """It cleans up there."""
    cleaned = threading.Event()

    @tasks.task()
    async def work() -> None:
        held.began.release()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    job = work.submit()
    held.wait_begun()
    assert job.stop()
    eventually(job.done)
    assert cleaned.is_set()
    assert job.status().state is JobState.CANCELLED


def test_another_process_asks_by_the_ledger(tasks: Tasks, held: Held, app: Dewar) -> None:
    """It runs no jobs itself; the one that has the job tells it."""

    @tasks.task()
    def work() -> None:
        held.wait_told()
        current_job.raise_if_cancelled()

    job = work.submit()
    held.wait_begun()
    ledger = Path(app.instance_path) / f"{app.name}.tasks.sqlite3"
    other = Tasks(ledger=ledger, run_jobs=False, poll=0.02)
    try:
        seen = other.get(job.id)
        eventually(seen.running)
        assert seen.stop()
        eventually(seen.done)
        assert seen.cancelled()
    finally:
        other.stop(_SOON)


def test_a_process_that_stops_tells_its_jobs_when_their_time_is_up(
    tasks: Tasks, held: Held
) -> None:
    """Those that end with a CancelledError go back to the ledger, and run again."""

    @tasks.task()
    def work() -> int:
        if current_job.attempt == 1:
            held.wait_told()
            current_job.raise_if_cancelled()
        return int(current_job.attempt)

    job = work.submit()
    held.wait_begun()
    assert tasks.stop(0.05)
    assert tasks.get(job.id).result(_SOON) == 2


def test_a_soft_limit_is_an_error_of_the_job(tasks: Tasks) -> None:
    """It may be caught. Otherwise the job has failed, or runs again, as after any error."""

    @tasks.task(soft_timeout=0.05, retries=1, backoff=0)
    def work(catches: bool) -> int:
        try:
            eventually(lambda: False)
        except SoftTimeLimitExceeded:
            if not catches and current_job.attempt < 3:
                raise
        return int(current_job.attempt)

    assert work.submit(True).result(_SOON) == 1
    job = work.submit(False)
    error: Any = job.exception(_SOON)
    assert isinstance(error, SoftTimeLimitExceeded)
    assert (error.name, error.seconds) == ("work", 0.05)
    assert job.status().attempts == 2


def test_a_soft_limit_reaches_a_coroutine_on_the_loop(tasks: Tasks) -> None:
    """As an error that it can catch."""

    @tasks.task(soft_timeout=0.05)
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except SoftTimeLimitExceeded:
            return "cleaned up"
        return "not limited"

    assert work.submit().result(_SOON) == "cleaned up"


@pytest.mark.parametrize("limits", [{"soft_timeout": 0}, {"soft_timeout": 5, "timeout": 5}])
def test_a_soft_limit_that_can_not_be_is_refused(
    make_tasks: MakeTasks, limits: dict[str, float]
) -> None:
    """When the task is declared: it comes before the hard one."""
    with pytest.raises(TaskSetupError, match="soft_timeout="):
        make_tasks(threads=1).task("work", **limits)(lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", range(5))
def test_a_limit_never_ends_a_write_half_way(tasks: Tasks, number: int) -> None:
    """Jobs submit jobs until their time is over: each that was accepted runs, and the next too."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    accepted: list[int] = []
    ran: list[int] = []

    @tasks.task(max_queue=None)
    def note(value: int) -> int:
        ran.append(value)
        return value

    @tasks.task(soft_timeout=0.02)
    def submit_many(offset: int) -> None:
        for value in range(offset, 2 * offset):
            note.submit(value)
            accepted.append(value)

    try:
        jobs = [submit_many.submit(offset) for offset in (10**6, 10**7, 10**8)]
        for job in jobs:
            assert isinstance(job.exception(2 * _SOON), SoftTimeLimitExceeded)
        eventually(lambda: set(accepted) <= set(ran), limit=2 * _SOON)
        assert note.submit(number).result(_SOON) == number
    finally:
        sys.setswitchinterval(before)
    assert len(set(ran)) == len(ran)
    # Of each job one may have been accepted whose handle is lost.
    assert len(ran) <= len(accepted) + len(jobs) + 1


def test_a_limit_that_falls_due_in_a_write_is_raised_after_it(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread may be writing for others. What it submits is accepted, and then it is told."""
    jobs: list[Any] = []
    names = ["write", "get", "cancel"]

    @tasks.task()
    def note() -> int:
        return 3

    @tasks.task(soft_timeout=60)
    def submit_one(name: str) -> str:
        interruptible = current_job.interruptible
        first = note.submit()
        first.result(_SOON)
        write = getattr(tasks.ledger, name)

        def write_late(*args: Any, **kwargs: Any) -> Any:
            if current_job and current_job.interruptible is interruptible:
                interruptible.interrupt()
                _ = [str(turn) for turn in range(100)]
                jobs.append(name)
            return write(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(tasks.ledger, name, write_late)
            with pytest.raises(SoftTimeLimitExceeded):
                _use(name, first.id)
        return "told"

    def _use(name: str, id: str) -> None:
        if name == "write":
            note.submit()
        elif name == "get":
            tasks.status(id)
        else:
            tasks.cancel(note.submit_later(delay=600).id)

    for name in names:
        assert submit_one.submit(name).result(_SOON) == "told"
    assert jobs == names
    assert note.submit().result(_SOON) == 3
