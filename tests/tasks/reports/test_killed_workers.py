"""Reports of jobs that were lost, or blocked others, because their worker was killed."""

from pathlib import Path

import reportapp
from dewar.tasks.ledger.records import JobState
from polling import eventually
from reporttools import SOON, Workers, wait_run


def test_a_job_of_a_killed_worker_runs_in_another(
    postgresql_workers: Workers, tmp_path: Path
) -> None:
    """Also one whose retry waits for its time.

    There the job was gone once the dead worker was cleaned up, and a retry only ran in the worker
    that had scheduled it: https://github.com/rq/rq/issues/2015,
    https://github.com/rq/rq/issues/1758
    """
    first = postgresql_workers.start(threads=2)
    retried = reportapp.fail_at_first.submit(str(tmp_path / "retried"))
    held = reportapp.hold.submit(str(tmp_path / "held"))
    wait_run(tmp_path / "held")
    eventually(lambda: retried.status().error is not None)
    eventually(lambda: held.status().state is JobState.RUNNING)
    postgresql_workers.kill(first)
    (tmp_path / "held.open").touch()
    postgresql_workers.start(threads=2, lease=1.0)
    assert held.result(SOON) == 2
    assert retried.result(SOON) == 2


def test_what_a_killed_worker_had_reserved_is_free(workers: Workers, tmp_path: Path) -> None:
    """The key of a unique job and the place of a limited one go on with the job, not for ever.

    There the lock stayed after a crash, and no job ran until somebody removed it:
    https://github.com/cameronmaske/celery-once/issues/147,
    https://github.com/coleifer/huey/issues/308
    """
    first = workers.start(threads=2)
    unique = reportapp.hold_unique.submit(str(tmp_path / "unique"))
    alone = reportapp.hold_alone.submit(str(tmp_path / "alone"))
    wait_run(tmp_path / "unique")
    wait_run(tmp_path / "alone")
    workers.kill(first)
    assert reportapp.hold_unique.submit(str(tmp_path / "unique")).id == unique.id
    (tmp_path / "unique.open").touch()
    (tmp_path / "alone.open").touch()
    workers.start(threads=2)
    assert unique.result(SOON) >= 1
    assert alone.result(SOON) >= 1
    (tmp_path / "next.open").touch()
    again = reportapp.hold_unique.submit(str(tmp_path / "unique"))
    assert again.id != unique.id
    assert again.result(SOON) == 1
    assert reportapp.hold_alone.submit(str(tmp_path / "next")).result(SOON) == 1


def test_a_job_that_kills_each_of_its_workers_does_not_go_on_for_ever(
    workers: Workers, tmp_path: Path
) -> None:
    """Its process restarts each time; after some deaths the job is lost, and the others run.

    There the job was delivered again and again, with a worker killed each time:
    https://github.com/celery/celery/issues/1628 (which asks for another delivery),
    https://github.com/freelabz/secator/pull/1199
    """
    poison = reportapp.kill_worker.submit(str(tmp_path / "poison"))
    for _ in range(6):
        worker = workers.start(is_ready=False, threads=1)
        eventually(lambda w=worker: not w.is_alive() or poison.status().state.is_final, limit=60)
        if worker.is_alive():
            break
    assert poison.status().state is JobState.LOST
    assert "died 4 times" in str(poison.exception(SOON))
    assert len(reportapp.runs(tmp_path / "poison")) == 4
    assert reportapp.add.submit(1, 2).result(SOON) == 3
