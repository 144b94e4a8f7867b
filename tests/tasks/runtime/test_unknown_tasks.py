"""What a process says of jobs whose task it does not have."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.runtime.unknown_tasks import UnknownTasks


def test_each_unknown_task_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """When a job of it has waited for some time; not of the tasks that the process has."""
    ledger = open_ledger(tmp_path / "jobs.sqlite3", durable=False)
    for number, task in enumerate(["renamed", "renamed", "known", "later"]):
        due = 1000.0 if task == "later" else 10.0
        ledger.write([NewJob(id=f"{number}", task=task, arguments="[]", created=10.0, due=due)])
    now = [10.5]
    jobs: Any = SimpleNamespace(ledger=ledger, clock=lambda: now[0])
    unknown = UnknownTasks(jobs, ["known"])
    with caplog.at_level(logging.WARNING, logger="dewar.tasks"):
        unknown.look()
        assert caplog.records == []  # another process may be about to take it
        now[0] = 12.0
        unknown.look()
        unknown.look()
        (record,) = caplog.records
        assert record.getMessage().startswith("2 waiting jobs are of the task 'renamed', which")
        now[0] = 1002.0
        unknown.look()
        assert "'later'" in caplog.records[1].getMessage()
    ledger.close()
