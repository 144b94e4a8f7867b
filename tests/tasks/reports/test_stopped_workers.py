"""Reports of jobs that a deployment lost, ran twice or counted wrongly, and of cancellations."""

from pathlib import Path

import reportapp
from dewar.tasks.ledger.records import JobState
from polling import eventually
from reportapp import runs, tasks
from reporttools import SOON, Workers, wait_run


def test_a_stop_waits_for_what_runs_and_leaves_the_rest(
    postgresql_workers: Workers, tmp_path: Path
) -> None:
    """SIGTERM, as a container gets it. Jobs for later and claimed ones are the next worker's.

    There they were lost, or waited for a timeout:
    https://github.com/celery/kombu/issues/533, https://github.com/celery/celery/issues/1810,
    https://github.com/celery/celery/issues/4354; and the one that ran was killed or run again:
    https://github.com/coleifer/huey/issues/213, https://github.com/celery/celery/issues/3802
    """
    first = postgresql_workers.start(threads=1, shutdown_timeout=SOON)
    held = reportapp.hold.submit(str(tmp_path / "held"))
    wait_run(tmp_path / "held")
    waiting = [reportapp.add.submit(number, 1) for number in range(4)]
    later = [reportapp.add.submit_later(number, 2, delay=0.2) for number in range(4)]
    first.terminate()
    eventually(lambda: {job.status().state for job in waiting} == {JobState.QUEUED})
    (tmp_path / "held.open").touch()
    assert held.result(SOON) == 1
    first.join(SOON)
    assert first.exitcode == 0, postgresql_workers.said(first)
    postgresql_workers.start(threads=1)
    assert [job.result(SOON) for job in waiting + later] == [1, 2, 3, 4, 2, 3, 4, 5]
    assert {job.status().attempts for job in waiting + later} == {1}
    assert len(runs(tmp_path / "held")) == 1


def test_a_job_runs_once_however_long_it_waits_and_runs(workers: Workers, tmp_path: Path) -> None:
    """For many leases: no timeout decides that a job is to be run again.

    There a job that waited or ran for longer than the visibility timeout was delivered again, once
    for each worker: https://github.com/celery/celery/issues/2599,
    https://github.com/celery/kombu/issues/337, https://github.com/celery/celery/issues/7009
    """
    for _ in range(2):
        workers.start(threads=1, lease=0.1)
    held = reportapp.hold.submit(str(tmp_path / "held"))
    wait_run(tmp_path / "held")
    later = [reportapp.add.submit_later(number, 1, delay=0.6) for number in range(4)]
    assert [job.result(SOON) for job in later] == [1, 2, 3, 4]
    (tmp_path / "held.open").touch()
    assert held.result(SOON) == 1
    assert len(runs(tmp_path / "held")) == 1
    assert {job.status().attempts for job in later} == {1}


def test_a_stop_takes_no_retry_from_a_job(workers: Workers, tmp_path: Path) -> None:
    """`retries` counts the errors of the job, not the deployments.

    There a job that a worker had to give up at its stop had one retry less:
    https://github.com/python-arq/arq/issues/267
    """
    first = workers.start(threads=1, shutdown_timeout=0.05)
    job = reportapp.fail_after_stop.submit(str(tmp_path / "runs"))
    wait_run(tmp_path / "runs")
    eventually(lambda: job.status().state is JobState.RUNNING)
    first.terminate()
    first.join(SOON)
    assert job.status().state is JobState.QUEUED
    workers.start(threads=1)
    assert job.result(SOON) == 3
    assert len(runs(tmp_path / "runs")) == 3


def test_a_cancelled_job_stays_cancelled(workers: Workers, tmp_path: Path) -> None:
    """Nobody works when it is cancelled, and its retries do not count. Its key is free.

    There only workers that were running heard of it, and forgot it in a restart:
    https://github.com/celery/django-celery-results/issues/423,
    https://github.com/celery/celery/issues/4300; a cancelled job was retried, or kept its lock:
    https://github.com/rq/rq/issues/1408, https://github.com/steinitzu/celery-singleton/issues/29
    """
    cancelled = reportapp.hold_unique.submit(str(tmp_path / "held"))
    later = reportapp.fail_at_first.submit_later(str(tmp_path / "later"), delay=0.1)
    assert tasks.cancel(cancelled.id)
    assert later.cancel()
    (tmp_path / "held.open").touch()
    again = reportapp.hold_unique.submit(str(tmp_path / "held"))
    assert again.id != cancelled.id
    workers.start(threads=1)
    assert again.result(SOON) == 1
    assert reportapp.add.submit_later(1, 2, delay=0.2).result(SOON) == 3
    assert len(runs(tmp_path / "held")) == 1
    assert not runs(tmp_path / "later")
    assert {job.status().state for job in (cancelled, later)} == {JobState.CANCELLED}


def test_the_command_leaves_the_logging_of_the_program(workers: Workers, tmp_path: Path) -> None:
    """Its handlers and its level, for the program and its jobs.

    There the handlers of the root logger were replaced, even where a setting forbade it:
    https://github.com/celery/celery/issues/2509, https://github.com/celery/celery/issues/4326
    """
    worker = workers.start(threads=1)
    assert reportapp.log.submit("told").result(SOON) == ["ReportHandler", "INFO"]
    assert "report: told" in workers.said(worker)
