"""Reports of jobs that waited behind others, or ran more often at a time than they may."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dewar.tasks.errors import PoolExhausted, SoftTimeLimitExceeded
from dewar.tasks.ledger.records import JobState
from dewar.tasks.progress import current_job
from dewar.tasks.tasks import Tasks
from polling import eventually
from reporttools import SOON

MakeTasks = Callable[..., Tasks]


@pytest.fixture(params=["sqlite", "postgresql"])
def make_tasks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeTasks]:
    """Makes tasks that share a ledger, as those of several processes do."""
    made: list[Tasks] = []
    ledger: Any = tmp_path / "jobs.sqlite3"
    if request.param == "postgresql":
        ledger = request.getfixturevalue("postgresql_database")

    def make(**settings: Any) -> Tasks:
        made.append(Tasks(ledger=ledger, **{"poll": 0.02, "threads": 1, **settings}))
        return made[-1]

    yield make
    for tasks in made:
        assert tasks.stop(SOON)


class Gate:
    """Holds jobs until it is open."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.open = threading.Event()

    def hold(self) -> str:
        self.began.release()
        assert self.open.wait(SOON)
        return "through"

    def wait(self) -> None:
        assert self.began.acquire(timeout=SOON)


def test_an_idle_process_runs_what_waits_behind_a_long_job(make_tasks: MakeTasks) -> None:
    """Also what the busy process has claimed before.

    There short jobs waited for hours behind long ones, beside idle workers:
    https://github.com/celery/celery/issues/6500,
    https://github.com/opendatacube/datacube-core/pull/325
    """
    gate, busy = Gate(), make_tasks()
    hold = busy.task("hold")(gate.hold)
    short = busy.task("short")(lambda: "busy")
    held = hold.submit()
    gate.wait()
    jobs = [short.submit() for _ in range(5)]
    idle = make_tasks()
    idle.task("short")(lambda: "idle")
    idle.start()
    try:
        assert [job.result(SOON) for job in jobs] == ["idle"] * 5
    finally:
        gate.open.set()
    assert held.result(SOON) == "through"


def test_low_priorities_run_too(make_tasks: MakeTasks) -> None:
    """High ones go first, and one of eight is what has waited longest.

    There the priority had no effect, or the low queue was never served:
    https://github.com/celery/celery/issues/4028, https://github.com/rq/rq/issues/1420
    """
    gate, order, tasks = Gate(), [], make_tasks(prefetch=2)
    hold = tasks.task("hold")(gate.hold)
    note = tasks.task("note")(order.append)
    jobs = [hold.submit()]
    gate.wait()
    jobs += [note.options_for(priority=-9).submit("low") for _ in range(2)]
    jobs += [note.options_for(priority=9).submit("high") for _ in range(24)]
    gate.open.set()
    for job in jobs:
        job.result(SOON)
    assert order[:8].count("high") >= 6
    assert "low" in order[:-2]


def test_a_rate_is_that_of_all_processes(make_tasks: MakeTasks) -> None:
    """Together they run no more than it says, also at the start.

    There each worker had the whole rate, and the first jobs of each were free:
    https://github.com/celery/celery/issues/5732, https://github.com/celery/celery/issues/4614,
    https://github.com/celery/celery/issues/4954
    """
    begins: list[float] = []
    both = [make_tasks(), make_tasks()]
    for tasks in both:
        tasks.task("paced", rate="25/s")(lambda: begins.append(time.monotonic()))
        tasks.start()
    began = time.monotonic()
    jobs = [tasks.find("paced").submit() for _ in range(4) for tasks in both]
    for job in jobs:
        job.result(SOON)
    # Two may come at once, and then one each 1/24 s.
    assert max(begins) - began >= 6 / 25


def test_a_limit_in_a_call_that_waits_leaves_its_thread(make_tasks: MakeTasks) -> None:
    """It is raised when the call returns, or not if the job raises something else: no later job.

    There the exception came after the job and ended the thread, until none was left:
    https://github.com/Bogdanp/dramatiq/issues/445, https://github.com/Bogdanp/dramatiq/issues/211
    """
    tasks = make_tasks()

    @tasks.task(soft_timeout=0.02)
    def late(text: str) -> str:
        began = time.monotonic()
        # One call that waits until the limit is over.
        eventually_over(began)
        if text:
            raise ValueError(text)
        return "done"

    def eventually_over(began: float) -> None:
        try:
            eventually(lambda: time.monotonic() - began > 0.04)
        except SoftTimeLimitExceeded:
            return

    jobs = [late.submit(text) for text in ("", "own error") * 3]
    for job in jobs:
        assert isinstance(job.exception(SOON), ValueError | SoftTimeLimitExceeded | None)
    assert tasks.task("next")(lambda: 1).submit().result(SOON) == 1


def test_jobs_that_wait_for_jobs_do_not_block_the_pool(make_tasks: MakeTasks) -> None:
    """One of them is told that nobody is left to run what it waits for.

    There all workers waited for ever: https://github.com/coleifer/huey/issues/618,
    https://github.com/celery/celery/issues/1784
    """
    tasks = make_tasks(threads=2)
    inner = tasks.task("inner")(lambda: 1)
    outer = tasks.task("outer")(lambda: inner.submit().result() + 1)
    errors = [job.exception(2 * SOON) for job in [outer.submit() for _ in range(4)]]
    assert {type(error) for error in errors} <= {PoolExhausted, type(None)}
    assert inner.submit().result(SOON) == 1


def test_a_task_that_is_not_declared_waits(make_tasks: MakeTasks) -> None:
    """As one that was renamed, or that the next version brings. It runs where it is known.

    There the message was discarded: https://github.com/celery/celery/issues/5016,
    https://github.com/coleifer/huey/issues/765
    """
    old, new = make_tasks(), make_tasks(run_jobs=False)
    old.task("known")(lambda: "known")
    job = new.task("new")(lambda: "new").submit()
    old.start()
    assert old.find("known").submit().result(SOON) == "known"
    assert job.status().state is JobState.QUEUED
    newer = make_tasks()
    newer.task("new")(lambda: "run by the next version")
    newer.start()
    assert job.result(SOON) == "run by the next version"


def test_a_pause_does_not_outgrow_the_calendar(make_tasks: MakeTasks) -> None:
    """It grows up to an hour, and the job keeps its retries.

    There the pause overflowed, and the job was gone:
    https://github.com/procrastinate-org/procrastinate/issues/1462,
    https://github.com/codingjoe/threadmill/issues/47
    """
    tasks = make_tasks()
    task = tasks.task("fail", retries=10**6, backoff=10.0)(lambda: 1 / 0)
    policy = task.options.policy
    assert all(0 < policy.after_error(attempt) <= 3600 * 1.25 for attempt in (1, 60, 1100, 10**6))
    job = task.submit()
    eventually(lambda: job.status().error is not None)
    assert job.status().state is JobState.QUEUED
    assert job.cancel()


def test_a_job_that_has_ended_can_be_cancelled_by_nobody(make_tasks: MakeTasks) -> None:
    """Who tries is told, and the pool goes on.

    There the worker took no more jobs: https://github.com/celery/celery/issues/2620
    """
    tasks = make_tasks()
    task = tasks.task("run")(lambda: int(current_job.attempt))
    for _ in range(3):
        done = task.submit()
        assert done.result(SOON) == 1
        assert not tasks.cancel(done.id)
        assert not tasks.cancel(done.id, running=True)
        assert done.status().state is JobState.DONE
