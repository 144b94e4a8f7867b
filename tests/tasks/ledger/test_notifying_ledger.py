"""What a ledger tells other processes, and that it is committed by then."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from tests.tasks.ledger.ledgertools import HERE, THERE, dead, end, new, only, start

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.notifications import JOBS, PARTIAL, NoNotifications, Notice
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState, ProgressUpdate
from dewar.tasks.placement import OnDuplicate


class Told(NoNotifications):
    """Keeps what is told, and how many jobs another connection sees by then."""

    def __init__(self, database: Database) -> None:
        self.notices: list[Notice] = []
        self.counts: list[dict[JobState, int]] = []
        #: What only those who watch are told.
        self.changed: tuple[str, ...] = ()
        self._other = open_ledger(database.name)

    def notify(self, notice: Notice) -> None:
        self.changed += notice.changed
        notice = replace(notice, changed=())
        if not notice:
            return
        self.notices.append(notice)
        self.counts.append(self._other.counts())

    def take(self) -> list[Notice]:
        notices, self.notices = self.notices, []
        return notices

    def close(self) -> None:
        self._other.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    told = Told(open_ledger(tmp_path / "jobs.sqlite3").database)
    yield told
    told.close()


@pytest.fixture
def ledger(tmp_path: Path, told: Told) -> Iterator[NotifyingLedger]:
    ledger = NotifyingLedger(open_ledger(tmp_path / "jobs.sqlite3").database, told)
    ledger.beat(HERE, 100.0)
    ledger.beat(THERE, 100.0)
    yield ledger
    ledger.close()


def test_a_job_that_is_left_is_told(ledger: NotifyingLedger, told: Told) -> None:
    """Alone or among others, when it is committed; one that is claimed at once is not."""
    ledger.write([new(owner=HERE.id)])
    ledger.write([new(owner=HERE.id), new(owner=HERE.id)])
    assert told.take() == []
    ledger.write([new()])
    ledger.write([new(owner=HERE.id), new()])
    assert told.take() == [JOBS, JOBS]
    assert [count[JobState.QUEUED] for count in told.counts] == [4, 6]


def test_a_job_for_later_is_told(ledger: NotifyingLedger, told: Told) -> None:
    """Who runs it has to know when to look."""
    ledger.write([new(due=1e9)])
    assert told.take() == [JOBS]


def test_a_refused_job_is_not_told(ledger: NotifyingLedger, told: Told) -> None:
    """It is not there."""
    ledger.write([new(max_queue=1, owner=HERE.id)])
    assert ledger.write([new(max_queue=1)]).refused
    assert told.take() == []


def test_an_end_is_told_by_its_id(ledger: NotifyingLedger, told: Told) -> None:
    """Once, and only if it counts; the start is not told."""
    jobs = [new(owner=HERE.id) for _ in range(3)]
    ledger.write(jobs)
    ledger.write([start(job) for job in jobs])
    assert told.take() == []
    ledger.write([end(jobs[0]), end(jobs[1], JobState.FAILED), end(jobs[2], owner=THERE.id)])
    assert told.take() == [Notice(ended=(jobs[0].id, jobs[1].id))]
    assert ledger.write([end(jobs[0])]).fenced
    assert told.take() == []


def test_a_retry_is_a_job_to_claim(ledger: NotifyingLedger, told: Told) -> None:
    """Or the end, if it was to stop."""
    job = new(owner=HERE.id)
    ledger.write([job, start(job)])
    ledger.write([end(job, JobState.QUEUED, due=5.0)])
    (notice,) = told.take()
    assert notice.jobs
    assert notice.ended == (job.id,)


def test_what_is_given_back_is_told(ledger: NotifyingLedger, told: Told) -> None:
    """If it is something."""
    job = new(owner=HERE.id)
    ledger.write([job])
    assert ledger.release(HERE.id, [job.id]) == 1
    assert told.take() == [JOBS]
    assert ledger.release(HERE.id, [job.id]) == 0
    assert told.take() == []
    ledger.leave(HERE.id)
    assert told.take() == [JOBS]


def test_a_cancellation_is_told_to_waiters_and_to_the_owner(
    ledger: NotifyingLedger, told: Told
) -> None:
    """The owner, if there is one, is about to run it."""
    owned, free = new(owner=THERE.id), new(owner=THERE.id)
    ledger.write([owned, free])
    ledger.release(THERE.id, [free.id])
    told.take()
    assert ledger.cancel(owned.id, 3.0)
    assert ledger.cancel(free.id, 3.0)
    assert not ledger.cancel(free.id, 3.0)
    assert told.take() == [Notice(ended=(owned.id,), owners=(THERE.id,)), Notice(ended=(free.id,))]


def test_a_stop_is_told_to_the_owner(ledger: NotifyingLedger, told: Told) -> None:
    """Of a running job."""
    job = new(owner=HERE.id)
    ledger.write([job])
    assert not ledger.cancel_running(job.id)
    ledger.write([start(job)])
    assert ledger.cancel_running(job.id)
    assert told.take() == [Notice(owners=(HERE.id,))]


def test_a_retry_by_hand_is_told(ledger: NotifyingLedger, told: Told) -> None:
    """If the job had ended."""
    job = new(owner=HERE.id)
    ledger.write([job])
    ledger.cancel(job.id, 3.0)
    told.take()
    assert ledger.retry(job.id, 4.0)
    assert not ledger.retry(job.id, 4.0)
    assert told.take() == [JOBS]


def test_what_the_dead_have_left_is_told(ledger: NotifyingLedger, told: Told) -> None:
    """Jobs to claim, and the ends of those that may not be repeated."""
    waiting, running = new(owner=HERE.id), new(owner=HERE.id, idempotent=False)
    ledger.write([waiting, running])
    ledger.write([start(running)])
    ledger.recover(5.0, only("nobody"))
    assert told.take() == []
    ledger.recover(5.0, dead)
    assert told.take() == [Notice(jobs=True, ended=(running.id,))]


def test_the_end_of_a_job_with_limits_is_told(ledger: NotifyingLedger, told: Told) -> None:
    """Another of its task may run then, in any process; so it may if an owned one is cancelled."""
    job = new(owner=HERE.id, limited=True)
    ledger.write([job])
    ledger.write([start(job)])
    told.take()
    ledger.write([replace(end(job), limited=True)])
    assert told.take() == [Notice(jobs=True, ended=(job.id,))]
    waiting = new(owner=THERE.id, limited=True)
    ledger.write([waiting])
    assert ledger.cancel(waiting.id, 9.0)
    assert told.take() == [Notice(jobs=True, ended=(waiting.id,), owners=(THERE.id,))]


def test_a_duplicate_is_not_told(ledger: NotifyingLedger, told: Told) -> None:
    """Nothing is there to claim; what it replaces has ended, and its owner has to drop it."""
    first = new(owner=THERE.id, unique_key="k")
    ledger.write([first])
    ledger.write([new(unique_key="k")])
    assert told.take() == []
    ledger.write([new(owner=HERE.id, unique_key="k", on_duplicate=OnDuplicate.REPLACE)])
    assert told.take() == [Notice(ended=(first.id,), owners=(THERE.id,))]


def test_what_is_committed_has_not_failed(
    ledger: NotifyingLedger, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the database is away when the notice is made: others look at everything then."""
    waiting, running = new(owner=HERE.id), new(owner=HERE.id)
    ledger.write([waiting, running])
    ledger.write([start(running)])

    def fail(_ids: object) -> NoReturn:
        raise LedgerError("jobs.sqlite3", "it is away")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "get", fail)
        patched.setattr(ledger, "get_many", fail)
        assert ledger.cancel(waiting.id, 9.0)
        assert ledger.cancel_running(running.id)
    assert told.take() == [PARTIAL, PARTIAL]
    assert ledger.counts()[JobState.CANCELLED] == 1


def test_starts_and_progress_are_told_to_who_watches(ledger: NotifyingLedger, told: Told) -> None:
    """Not those of a job that ends in the same batch; here they are told as well."""
    heard: list[Notice] = []
    one, two = new(owner=HERE.id), new(owner=HERE.id)
    ledger.write([one, two])
    with ledger.watched(heard.append):
        ledger.write([start(one), start(two), end(two)])
        ledger.write([ProgressUpdate(id=one.id, fraction=0.5, message="")])
    ledger.write([ProgressUpdate(id=one.id, fraction=0.6, message="")])
    assert told.changed == (one.id,) * 3
    assert [(notice.changed, notice.ended) for notice in heard] == [
        ((one.id,), (two.id,)),
        ((one.id,), ()),
    ]
