"""Reports of child processes: what they inherit, what jobs do in them, and how they end."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reportapp
from dewar.tasks.errors import JobTimeout
from faulttools import is_alive
from polling import eventually
from reporttools import SOON, Workers, submitting, wait_run

Pool = tuple[Workers, Any]


@pytest.fixture(scope="module")
def waiting_pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """A worker with one child process. Children are slow to start, so all tests have the same."""
    folder = tmp_path_factory.mktemp("pool")
    with submitting(folder, str(folder / "jobs.sqlite3")) as workers:
        with (folder / "inherited").open("w") as file:
            os.set_inheritable(file.fileno(), True)
            yield workers, workers.start(processes=1, shutdown_timeout=SOON)


@pytest.fixture
def pool(waiting_pool: Pool) -> Pool:
    """The same, whose child may import the app."""
    (Path(waiting_pool[0].ledger).parent / "gate").touch()
    return waiting_pool


def test_the_time_of_a_job_is_not_that_of_its_import(waiting_pool: Pool) -> None:
    """A child imports the app before its first job, which has all of its time then.

    There a child that took long to start was killed, or its first task timed out:
    https://github.com/celery/celery/pull/9168, https://github.com/celery/celery/issues/1811
    """
    workers, _ = waiting_pool
    job = reportapp.add_quickly.submit(1, 2)
    gate = Path(workers.ledger).parent / "gate"
    eventually(Path(f"{gate}.waits").exists)
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > 1.2)  # the limit is 1 second
    gate.touch()
    assert job.result(SOON) == 3


def test_a_job_may_have_children(pool: Pool) -> None:
    """With `multiprocessing`.

    There the children of a worker are daemons, which may have none:
    https://github.com/celery/celery/issues/1709, https://github.com/celery/celery/issues/4525
    """
    assert reportapp.use_pool.submit([1, 2, 3]).result(SOON) == [2, 4, 6]


def test_a_child_shares_no_connection_with_its_parent(pool: Pool) -> None:
    """It is a new process, not a copy: neither the ledger nor a socket of the program is open.

    There the connections of the parent were used by all its children, whose messages got mixed:
    https://github.com/celery/celery/issues/1564, https://github.com/wooey/Wooey/issues/31
    """
    workers, worker = pool
    in_parent = {str(one.readlink()) for one in Path(f"/proc/{worker.pid}/fd").iterdir()}
    in_child = reportapp.open_files.submit().result(SOON)
    assert any(name.startswith(workers.ledger) for name in in_parent)
    assert not any(name.startswith(workers.ledger) for name in in_child)
    assert not {name for name in in_child & in_parent if name.startswith("socket:")}


def test_a_limit_ends_a_job_that_catches_everything(pool: Pool, tmp_path: Path) -> None:
    """The soft one is caught by a broad except; the hard one asks nobody.

    There the job went on: https://github.com/rq/rq/issues/2296,
    https://github.com/harvard-lil/perma/issues/2032
    """
    job = reportapp.swallow.submit(str(tmp_path / "runs"))
    assert isinstance(job.exception(SOON), JobTimeout)
    assert len(reportapp.runs(tmp_path / "runs")) == 2


def test_a_limit_ends_what_a_job_has_started(pool: Pool, tmp_path: Path) -> None:
    """The program is killed with the child, and the key of the unique job is free.

    There the programs were left, and so was the lock: https://github.com/celery/celery/issues/2353,
    https://github.com/steinitzu/celery-singleton/issues/40
    """
    path = tmp_path / "program"
    job = reportapp.start_program.submit(str(path))
    assert isinstance(job.exception(SOON), JobTimeout)
    eventually(lambda: not is_alive(int(path.read_text())))
    again = reportapp.start_program.submit(str(path))
    assert again.id != job.id
    again.cancel()


def test_a_pool_goes_on_without_a_child_that_is_killed(pool: Pool, tmp_path: Path) -> None:
    """As by a system that is short of memory. The job runs again, and so do the next ones.

    There the worker hung: https://github.com/celery/celery/issues/2011
    """
    job = reportapp.hold.submit(str(tmp_path / "held"))
    (victim,) = wait_run(tmp_path / "held")
    os.kill(victim, signal.SIGKILL)
    (tmp_path / "held.open").touch()
    assert job.result(SOON) == 2
    assert reportapp.add.submit(1, 2).result(SOON) == 3


def test_a_stop_of_the_whole_group_lets_the_job_end(pool: Pool, tmp_path: Path) -> None:
    """A child leaves it to its parent when to end, as with systemd, which signals each process.

    There the children were ended in the middle of their jobs:
    https://github.com/celery/celery/issues/6541, https://github.com/celery/celery/issues/3631
    """
    workers, worker = pool
    job = reportapp.hold.submit(str(tmp_path / "held"))
    (child,) = wait_run(tmp_path / "held")
    os.kill(child, signal.SIGTERM)
    os.killpg(worker.pid, signal.SIGTERM)
    (tmp_path / "held.open").touch()
    assert job.result(SOON) == 1
    worker.join(SOON)
    assert worker.exitcode == 0, workers.said(worker)
