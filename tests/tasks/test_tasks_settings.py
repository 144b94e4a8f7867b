"""How an app's tasks are run and kept."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dewar.tasks.engines.processes.worker_limits import WorkerLimits
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.settings import TasksSettings
from dewar.tasks.tasks import Tasks


def test_what_is_given_goes_before_the_configuration() -> None:
    """Each setting has its name in the app's configuration, and its default."""
    settings = TasksSettings.of({"threads": 2}, {"TASKS_THREADS": 8, "TASKS_LEASE": 5, "OTHER": 1})
    assert settings.threads == 2
    assert settings.lease == 5
    assert settings.retention_seconds == 7 * 86400
    assert TasksSettings.of({"retention": None}, {}).retention_seconds is None
    assert TasksSettings.of({"retention": timedelta(hours=1)}, {}).retention_seconds == 3600


@pytest.mark.parametrize(
    ("given", "config", "says"),
    [
        ({"thread": 2}, {}, "Did you mean 'threads'?"),
        ({}, {"TASKS_LEGER": "x"}, "Did you mean TASKS_LEDGER?"),
        ({"threads": 2, "processes": 2}, {}, "threads and processes"),
        ({"threads": 0.0}, {}, "greater than 0"),
        ({"poll": -1}, {}, "greater than 0"),
        ({}, {"TASKS_SHOW_ERRORS": "no"}, "show_errors='no' should be True or False"),
        ({}, {"TASKS_RUN_JOBS": "0"}, "run_jobs='0' should be True or False"),
        ({}, {"TASKS_DURABLE": 1}, "durable=1 should be True or False"),
        ({}, {"TASKS_THREADS": "4"}, "threads='4' should be a whole number"),
        ({}, {"TASKS_RETENTION": "7"}, "retention='7' should be a number"),
        ({}, {"TASKS_SHUTDOWN_TIMEOUT": -1}, "should be a number that is not negative"),
        ({}, {"TASKS_LEASE": "15"}, "lease='15' should be a number"),
        ({"callback_secrets": "whsec_x"}, {}, "lists"),
        ({"max_jobs_per_worker": 5}, {}, "set processes=2"),
        ({"threads": 2, "max_memory_per_worker": "200M"}, {}, "set processes=2"),
        ({"processes": 1, "max_jobs_per_worker": 0}, {}, "greater than 0"),
        ({"processes": 1, "max_memory_per_worker": "much"}, {}, "such as '200M'"),
        ({"processes": 1, "max_memory_per_worker": 0}, {}, "bytes above 0"),
    ],
)
def test_what_can_not_be_is_refused_with_the_repair(
    given: dict[str, object], config: dict[str, object], says: str
) -> None:
    """A name that is none, two ways to run, numbers that are none, text for a list."""
    with pytest.raises(TaskSetupError) as caught:
        TasksSettings.of(given, config)
    assert says in str(caught.value)


def test_credentials_are_a_list_of_names() -> None:
    """A text would be a list of letters."""
    with pytest.raises(TaskSetupError, match=r"credentials=\[\*CREDENTIALS, 'x-tenant'\]"):
        TasksSettings(credentials="x-tenant")


def test_the_limits_of_workers_reach_their_engine(tmp_path: Path) -> None:
    """A size may be a text."""
    limits = {"max_jobs_per_worker": 500, "max_memory_per_worker": "200M"}
    tasks = Tasks(ledger=tmp_path / "jobs.sqlite3", processes=1, **limits)
    try:
        engine: Any = tasks.runtime._engine
        assert engine._limits == WorkerLimits(max_jobs=500, max_memory=200 << 20)
    finally:
        tasks.stop(20.0)
