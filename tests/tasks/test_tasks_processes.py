"""Tasks whose jobs run in processes: stopped, killed, and seen from elsewhere."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import taskapp
from dewar.tasks.errors import JobLost, JobTimeout, Unserializable
from dewar.tasks.ledger.records import JobState
from taskapp import app, tasks

_SOON = 30.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SOON
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


@pytest.fixture(scope="module", autouse=True)
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One ledger and one pool for the module: processes are slow to start."""
    before = dict(app.config)
    app.config["TASKS_LEDGER"] = tmp_path_factory.mktemp("tasks") / "jobs.sqlite3"
    app.config["TASKS_PROCESSES"] = 2
    yield
    tasks.stop(_SOON)
    app.config.clear()
    app.config.update(before)


def test_a_job_runs_in_another_process_with_its_request() -> None:
    """App, request, session and `g` are made again there from their plain form."""
    id = app.test_client().get("/see/7").get_json()["id"]
    seen = tasks.get(id).result(_SOON)
    assert seen == {
        "app": app.name,
        "path": "/see/7",
        "user": "user 7",
        "g": "7",
        "attempt": 1,
        "id": id,
    }
    told = tasks.status(id).progress
    assert told is not None
    assert told.message == "half"


def test_results_errors_and_coroutines_are_as_on_threads() -> None:
    """One interface, the same answers."""
    assert taskapp.add.submit(1, 2).result(_SOON) == 3
    assert taskapp.later.submit((1, b"x")).result(_SOON) == (1, b"x")
    with pytest.raises(ValueError, match="no good"):
        taskapp.fail.submit("no good").result(_SOON)
    assert taskapp.fail_until.submit(3).result(_SOON) == 3
    with pytest.raises(Unserializable, match="rows"):
        taskapp.return_lock.submit().result(_SOON)


def test_a_timeout_really_stops_the_work() -> None:
    """The worker is killed, the job fails by its name, and the pool goes on."""
    job = taskapp.sleep.submit(600)
    with pytest.raises(JobTimeout, match="sleep"):
        job.result(_SOON)
    assert job.status().state is JobState.FAILED
    assert taskapp.add.submit(1, 2).result(_SOON) == 3


def test_a_running_job_is_stopped(tmp_path: Path) -> None:
    """It ends as cancelled, and nothing of it goes on."""
    job = taskapp.wait_for.submit(str(tmp_path / "gate"))
    until((tmp_path / "gate.began").exists)
    until(job.running)
    assert not job.cancel()
    assert job.stop()
    until(job.done)
    assert job.cancelled()
    assert job.status().state is JobState.CANCELLED


def test_a_job_whose_worker_dies_is_run_again(tmp_path: Path) -> None:
    """At least once: the second attempt has the result."""
    assert taskapp.die_once.submit(str(tmp_path / "died")).result(_SOON) == 2


def test_a_job_that_may_not_be_repeated_is_lost(tmp_path: Path) -> None:
    """It ran, nobody knows how far, and the ledger says so."""
    job = taskapp.die.submit(str(tmp_path / "ran"))
    with pytest.raises(JobLost, match="may not be repeated"):
        job.result(_SOON)
    status = job.status()
    assert status.state is JobState.LOST
    assert status.attempts == 1
    assert (tmp_path / "ran").exists()


def test_a_stop_recalls_what_runs_and_another_runs_it(tmp_path: Path) -> None:
    """What can be stopped is given back to the ledger when the time is up."""
    path = tmp_path / "gate"
    job = taskapp.wait_for.submit(str(path))
    until(Path(f"{path}.began").exists)
    until(job.running)
    assert tasks.stop(0.05)
    record = tasks.ledger.get(job.id)
    assert record.state is JobState.QUEUED
    path.touch()
    again: Any = tasks.get(job.id)
    assert again.result(_SOON) == "released"
    assert again.status().attempts == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
