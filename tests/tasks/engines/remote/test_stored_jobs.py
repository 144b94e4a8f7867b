"""Jobs of a ledger on a Dask cluster or on Celery workers, and what they survive."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import taskapp
from deploymenttools import free_port
from dewar import chain, group
from dewar.tasks.errors import JobLost
from dewar.tasks.ledger.records import JobState
from exactvalues import EXACT, assert_same
from fartools import LIMIT, CeleryWorker, Redis, dask_cluster
from polling import eventually

# A process that accepts a job, prints its id, and waits to be killed.
SUBMITTER = """
import sys, taskapp
job = getattr(taskapp, sys.argv[1]).submit(sys.argv[2])
print(job.id, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", params=["dask", "celery"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster, and a broker with a worker, started for this module."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "dask":
        with dask_cluster(folder, failures=3) as url:
            yield url
    else:
        with (
            Redis(folder, free_port(), keeps=False) as redis,
            CeleryWorker(folder, redis.url, allow="taskapp"),
        ):
            yield redis.url


@pytest.fixture
def tasks(url: str, tmp_path: Path) -> Iterator[Any]:
    """The tasks of the app that the workers import as well, on a new ledger."""
    before = dict(taskapp.app.config)
    taskapp.app.config["TASKS_LEDGER"] = tmp_path / "jobs.sqlite3"
    taskapp.app.config["TASKS_ENGINE"] = url
    yield taskapp.tasks
    taskapp.tasks.stop(LIMIT)
    taskapp.app.config.clear()
    taskapp.app.config.update(before)


def test_a_job_sees_its_request_and_tells_its_progress(tasks: Any) -> None:
    """The worker imports the app and makes the request again."""
    id = taskapp.app.test_client().get("/see/7").get_json()["id"]
    seen = tasks.get(id).result(LIMIT)
    assert (seen["path"], seen["user"], seen["g"]) == ("/see/7", "user 7", "7")
    assert (seen["id"], seen["attempt"]) == (id, 1)
    eventually(lambda: tasks.status(id).progress is not None, "the progress")
    assert tasks.status(id).progress.message == "half"


def test_values_come_back_as_they_were(tasks: Any) -> None:
    """As an argument and as a result."""
    assert_same(taskapp.later.submit(EXACT).result(LIMIT), EXACT)


def test_a_workflow_runs_on_other_machines(tasks: Any) -> None:
    """Results are arguments there, and what fails stops what waits."""
    workflow = chain(group(taskapp.add.s(1, 2), taskapp.add.s(3, 4)), taskapp.add.s([5])).submit()
    assert workflow.result(LIMIT) == [3, 7, 5]
    failing = chain(taskapp.fail.s("no"), taskapp.add.s(1)).submit()
    with pytest.raises(ValueError, match="no"):
        failing.result(LIMIT)
    assert failing.status().jobs[JobState.CANCELLED] == 1


def test_an_error_is_repeated_as_the_task_says(tasks: Any) -> None:
    """The ledger counts the attempts on all workers."""
    with pytest.raises(ValueError, match="no good"):
        taskapp.fail.submit("no good").result(LIMIT)
    assert taskapp.fail_until.submit(3).result(LIMIT) == 3


def test_a_job_whose_worker_is_killed_runs_again(tasks: Any, tmp_path: Path) -> None:
    """The cluster or the broker gives it to another worker. It has one outcome."""
    job = taskapp.die_once.submit(str(tmp_path / "died"))
    assert job.result(LIMIT) >= 1
    assert (tmp_path / "died").exists()
    assert job.status().state is JobState.DONE


def test_a_job_that_may_not_be_repeated_is_lost_with_its_worker(tasks: Any, tmp_path: Path) -> None:
    """It ran once, and no second worker begins it."""
    job = taskapp.die.submit(str(tmp_path / "ran"))
    with pytest.raises(JobLost, match="may not be repeated"):
        job.result(LIMIT)
    assert job.status().state is JobState.LOST


def test_a_job_whose_submitter_is_killed_is_submitted_again(
    tasks: Any, url: str, tmp_path: Path
) -> None:
    """The next process that uses the ledger runs it. The outcome of the first run is ignored."""
    gate = tmp_path / "gate"
    submitter = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, "wait_for", str(gate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DEWAR_TEST_LEDGER": str(tmp_path / "jobs.sqlite3"),
            "DEWAR_TEST_ENGINE": url,
        },
    )
    try:
        assert submitter.stdout is not None
        id = submitter.stdout.readline().strip()
        eventually(Path(f"{gate}.began").exists, "the first run")
        submitter.send_signal(signal.SIGKILL)
        submitter.wait(LIMIT)
        tasks.start()
        job = tasks.get(id)
        gate.touch()
        assert job.result(LIMIT) == "released"
        assert job.status().state is JobState.DONE
    finally:
        submitter.kill()
        submitter.communicate()


def test_jobs_wait_for_a_broker_that_is_away(tmp_path: Path) -> None:
    """They are accepted, because the ledger has them, and run when the broker is back."""
    before = dict(taskapp.app.config)
    port = free_port()
    taskapp.app.config["TASKS_LEDGER"] = tmp_path / "jobs.sqlite3"
    taskapp.app.config["TASKS_ENGINE"] = f"celery+redis://127.0.0.1:{port}/0?connect=1"
    try:
        job = taskapp.add.submit(1, 2)
        assert job.status().state is JobState.QUEUED
        with (
            Redis(tmp_path, port, keeps=False) as redis,
            CeleryWorker(tmp_path, redis.url, allow="taskapp"),
        ):
            assert job.result(LIMIT) == 3
            taskapp.tasks.stop(LIMIT)
    finally:
        taskapp.tasks.stop(LIMIT)
        taskapp.app.config.clear()
        taskapp.app.config.update(before)
