"""Tasks whose jobs run in processes: stopped, killed, and seen from elsewhere."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import taskapp
from dewar import chain, group
from dewar.tasks.errors import JobLost, JobTimeout, PoolExhausted, Unserializable, WorkerDied
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState
from dewar.tasks.tasks import Tasks
from exactvalues import EXACT, assert_same
from faulttools import is_alive
from polling import eventually
from taskapp import app, tasks

_SOON = 30.0


@pytest.fixture(scope="module", autouse=True)
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One ledger and one pool for the module: processes are slow to start."""
    before = dict(app.config)
    app.config["TASKS_LEDGER"] = tmp_path_factory.mktemp("tasks") / "jobs.sqlite3"
    app.config["TASKS_PROCESSES"] = 2
    with pytest.MonkeyPatch.context() as patch:
        # For jobs that submit jobs.
        patch.setenv("DEWAR_TEST_LEDGER", str(app.config["TASKS_LEDGER"]))
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


def test_values_come_back_from_a_process_as_they_were() -> None:
    """As an argument and as a result."""
    assert_same(taskapp.later.submit(EXACT).result(_SOON), EXACT)


def test_jobs_that_wait_in_a_full_pool_are_told(tmp_path: Path) -> None:
    """Both processes wait for jobs that nobody would run, so one of the two jobs fails."""
    jobs = [taskapp.add_in_full_pool.submit(str(tmp_path), number) for number in range(2)]
    (error,) = [error for error in (job.exception(2 * _SOON) for job in jobs) if error is not None]
    assert isinstance(error, PoolExhausted)


def test_a_worker_that_dies_is_named_by_its_task() -> None:
    """A function of the framework runs all tasks, and would say nothing."""
    error = taskapp.exit_now.submit().exception(_SOON)
    assert isinstance(error, JobLost | WorkerDied)
    assert "exit_now" in str(error)


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
    eventually((tmp_path / "gate.began").exists)
    eventually(job.running)
    assert not job.cancel()
    assert job.stop()
    eventually(job.done)
    assert job.cancelled()
    assert job.status().state is JobState.CANCELLED


def test_a_running_job_is_asked_first(tmp_path: Path) -> None:
    """It ends as cancelled if it says so, and otherwise with its result."""
    for name, state in (("cancelled", JobState.CANCELLED), ("done", JobState.DONE)):
        job = taskapp.end_when_told.submit(str(tmp_path / name))
        eventually((tmp_path / f"{name}.began").exists)
        assert tasks.cancel(job.id, running=True)
        eventually(job.done)
        assert job.status().state is state


def test_a_soft_limit_ends_a_call_that_waits() -> None:
    """Also a system call. An attempt that it ends is followed by the next, as after any error."""
    assert taskapp.clean_up_at_limit.submit().result(_SOON) == 2


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
    eventually(Path(f"{path}.began").exists)
    eventually(job.running)
    assert tasks.stop(0.05)
    record = tasks.ledger.get(job.id)
    assert record.state is JobState.QUEUED
    path.touch()
    again: Any = tasks.get(job.id)
    assert again.result(_SOON) == "released"
    assert again.status().attempts == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


# A process that accepts a job, says so, and waits to be killed.
SUBMITTER = """
import sys, taskapp
if __name__ == "__main__":
    job = getattr(taskapp, sys.argv[1]).submit(sys.argv[2])
    print(job.id, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("processes", ["", "1"], ids=["threads", "processes"])
@pytest.mark.parametrize("task", ["wait_for", "wait_for_once"])
def test_a_job_whose_process_is_killed_is_run_by_another(
    processes: str, task: str, tmp_path: Path
) -> None:
    """Or it is lost, where it may not be repeated; a worker process ends with its parent."""
    ledger, gate = tmp_path / "jobs.sqlite3", tmp_path / "gate"
    submitter = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, task, str(gate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "DEWAR_TEST_LEDGER": str(ledger),
            "DEWAR_TEST_PROCESSES": processes,
        },
    )
    other = Tasks(ledger=ledger, poll=0.02)
    other.task("wait_for")(lambda path: "run by another")
    other.task("wait_for_once", idempotent=False)(lambda path: "run twice")
    try:
        assert submitter.stdout is not None
        id = submitter.stdout.readline().strip()
        eventually(Path(f"{gate}.began").exists)
        worker = int(Path(f"{gate}.began").read_text())
        looking = open_ledger(ledger)
        eventually(lambda: looking.get(id).state is JobState.RUNNING)  # type: ignore[union-attr]
        looking.close()
        submitter.send_signal(signal.SIGKILL)
        submitter.wait(_SOON)
        other.start()
        job = other.get(id)
        if task == "wait_for":
            assert job.result(_SOON) == "run by another"
        else:
            with pytest.raises(JobLost, match="may not be repeated"):
                job.result(_SOON)
        eventually(lambda: not is_alive(worker))
    finally:
        gate.touch()
        submitter.kill()
        submitter.communicate()
        other.stop(_SOON)


def test_a_workflow_runs_in_other_processes() -> None:
    """Results are put in the place of arguments here, and failures stop what waits."""
    workflow = chain(group(taskapp.add.s(1, 2), taskapp.add.s(3, 4)), taskapp.add.s([5])).submit()
    assert workflow.result(_SOON) == [3, 7, 5]
    failing = chain(taskapp.fail.s("no"), taskapp.add.s(1)).submit()
    with pytest.raises(ValueError, match="no"):
        failing.result(_SOON)
    assert failing.status().jobs[JobState.CANCELLED] == 1
