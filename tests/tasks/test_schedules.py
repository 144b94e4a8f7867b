"""Schedules, as a program uses them, also in several processes that are killed."""

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.ledger.firingprocesses import check_each_once

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.schedule_table import ScheduleTable
from dewar.tasks.progress import current_job
from dewar.tasks.scheduled_job import scheduled_job
from dewar.tasks.tasks import Tasks
from polling import eventually

MakeTasks = Callable[..., Tasks]
_SOON = 20.0


@pytest.fixture
def make_tasks(tmp_path: Path) -> Iterator[MakeTasks]:
    """Makes tasks that share a ledger, as those of several processes do."""
    made: list[Tasks] = []

    def make(**settings: Any) -> Tasks:
        tasks = Tasks(ledger=tmp_path / "jobs.sqlite", **{"threads": 2, **settings})
        made.append(tasks)
        return tasks

    yield make
    for tasks in made:
        tasks.stop(_SOON)


def test_a_task_runs_at_its_due_times(make_tasks: MakeTasks) -> None:
    """Once each over two runtimes of the ledger; the function gets the due time if it wants it."""
    seen: list[Any] = []
    enough = threading.Event()

    def tick(scheduled_for: datetime) -> None:
        seen.append((scheduled_for.timestamp(), current_job.id))
        if len(seen) >= 3:
            enough.set()

    for tasks in (make_tasks(), make_tasks()):
        tasks.task(every=timedelta(seconds=1))(tick)
        tasks.start()
    assert enough.wait(_SOON)
    times = [due for due, _ in seen]
    assert sorted(times) == sorted(set(times))
    assert all(due == int(due) for due in times)


def test_a_scheduled_job_is_made_as_its_task_says(make_tasks: MakeTasks) -> None:
    """Queue, priority, key and limits are those of a job that was submitted."""
    tasks = make_tasks()

    @tasks.task(
        cron="0 3 * * *",
        time_zone="Europe/Berlin",
        queue="night",
        priority=5,
        max_running=1,
        unique=True,
        max_queue=7,
        idempotent=False,
    )
    def report(limit=10): ...

    job = scheduled_job(report, 1000.0, 1001.0)
    assert (job.task, job.queue, job.priority, job.limited) == ("report", "night", 5, True)
    assert (job.created, job.due, job.max_queue, job.idempotent) == (1001.0, 1000.0, 7, False)
    assert job.unique_key == scheduled_job(report, 2000.0, 2001.0).unique_key is not None
    assert job.arguments == "[[], {}]"
    assert list(tasks.schedules()) == ["report"]


def test_the_due_time_is_an_argument_in_the_zone_of_the_rule(make_tasks: MakeTasks) -> None:
    """It is stored with the job, so that each attempt has it, on each engine."""
    tasks = make_tasks()

    @tasks.task(cron="0 3 * * *", time_zone="Europe/Berlin")
    def report(*, scheduled_for=None): ...

    first, second = (scheduled_job(report, due, due) for due in (1.8e9, 1.81e9))
    assert "2027-01-15T09:00:00" in first.arguments
    assert "Europe/Berlin" in first.arguments
    assert first.arguments != second.arguments


def test_what_a_schedule_cannot_call_is_refused(make_tasks: MakeTasks) -> None:
    """At the declaration, with the parameter that is in the way; without a schedule it is fine."""
    tasks = make_tasks()

    def report(day): ...

    with pytest.raises(TaskSetupError, match=r"'day'.*Give each parameter a default.*_for"):
        tasks.task(every=60)(report)
    tasks.task()(report)
    with pytest.raises(TaskSetupError, match=r"every=timedelta"):
        tasks.task("other", every=0)


def test_a_process_that_runs_no_jobs_fires_nothing(make_tasks: MakeTasks) -> None:
    """It does not even declare the schedule."""
    web = make_tasks(run_jobs=False)
    web.task(every=1)(_nothing)
    web.start()
    worker = make_tasks()
    worker.task("other", every=1)(_nothing)
    worker.start()
    eventually(lambda: len(worker.ledger.list()) >= 2)
    assert {job.task for job in worker.ledger.list()} == {"other"}
    assert set(ScheduleTable(web.ledger.database).rows()) == {"other"}


def _nothing() -> None: ...


@pytest.mark.skipif(os.name != "posix", reason="sessions are POSIX's")
def test_with_worker_processes_each_due_time_fires_once(tmp_path: Path) -> None:
    """Also while the processes that fire are killed, with their workers."""
    check_each_once(tmp_path, str(tmp_path / "jobs.sqlite"), processes=1)
