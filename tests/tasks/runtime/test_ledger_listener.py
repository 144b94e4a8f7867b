"""What a process does when another one has changed the ledger."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.ledger.ledgertools import HERE, THERE, end, new, start

from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.notifications import JOBS, PARTIAL, Notice
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobRecord, NewJob
from dewar.tasks.progress import Progress
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.ledger_listener import LedgerListener
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.stored_job import JobFutures


class Silent:
    """Listens to an attempt and does nothing."""

    def note_begin(self, attempt: Attempt) -> bool:
        return True

    def note_progress(self, attempt: Attempt, progress: Progress) -> None:
        """Take no notice."""


class Future:
    """Stands for a job that somebody waits for."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.records: list[JobRecord] = []

    def resolve(self, record: JobRecord) -> None:
        self.records.append(record)


class Process:
    """A process with a real ledger, and a count of what it is woken for."""

    def __init__(self, ledger: Any) -> None:
        self.jobs = ProcessJobs(
            ledger=ledger,
            owner=HERE,
            claimed=ClaimedJobs(1, 10),
            futures=JobFutures(),
            describe=str,
            clock=lambda: 1e9,
            monotonic=lambda: 100.0,
        )
        self.calls: list[str] = []
        self.listener = LedgerListener(
            self.jobs, lambda: self.calls.append("poll"), lambda: self.calls.append("wake")
        )

    def future(self, id: str) -> Future:
        made = Future(id)
        self.jobs.futures.add(id, lambda: made)  # type: ignore[arg-type,return-value]
        return made

    def hold(self, job: NewJob) -> Attempt:
        attempt = Attempt(JobRecord.of(job), Silent())
        self.jobs.claimed.attempts[job.id] = attempt
        return attempt


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(tmp_path / "jobs.sqlite3")
    ledger.beat(HERE, 100.0)
    ledger.beat(THERE, 100.0)
    yield ledger
    ledger.close()


@pytest.fixture
def process(ledger: Ledger) -> Process:
    return Process(ledger)


def test_a_process_with_room_is_woken_for_jobs(process: Process) -> None:
    """It claims at once."""
    process.jobs.claimed.may_have_jobs = False
    process.listener.on_notice(JOBS)
    assert process.jobs.claimed.may_have_jobs
    assert process.calls == ["wake"]


def test_a_process_without_room_looks_when_it_has_some(process: Process) -> None:
    """It is not disturbed, and does not forget it."""
    for _ in range(2):
        process.hold(new())
    process.jobs.claimed.may_have_jobs = False
    process.listener.on_notice(JOBS)
    assert process.jobs.claimed.may_have_jobs
    assert process.calls == []


@pytest.mark.parametrize("notice", [PARTIAL, Notice(owners=(HERE.id,))])
def test_what_may_be_anything_is_looked_for(process: Process, notice: Notice) -> None:
    """First the look is made due, and then the thread is woken."""
    process.listener.on_notice(notice)
    assert process.calls == ["poll", "wake"]


def test_what_is_for_others_changes_nothing(
    process: Process, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it cost a query."""
    monkeypatch.setattr(ledger, "get_many", pytest.fail)
    process.listener.on_notice(Notice(ended=("unknown",), owners=(THERE.id,)))
    assert process.calls == []


def test_an_awaited_job_is_resolved_at_once(process: Process, ledger: Ledger) -> None:
    """Only if it has really ended: the notice is a hint."""
    job, going = new(), new()
    ledger.write([job, going])
    waiting, other = process.future(job.id), process.future(going.id)
    process.listener.on_notice(Notice(ended=(job.id, going.id)))
    assert waiting.records == []
    (taken,) = ledger.claim(THERE.id, 1, 5.0, ["resize"])
    ledger.write([start(taken, THERE.id), end(taken, owner=THERE.id)])
    futures = {job.id: waiting, going.id: other}
    process.listener.on_notice(Notice(ended=(job.id, going.id)))
    ended = futures.pop(taken.id)
    assert [record.state.is_final for record in ended.records] == [True]
    assert [future.records for future in futures.values()] == [[]]
    process.listener.on_notice(Notice(ended=(taken.id,)))
    assert len(ended.records) == 1


def test_a_cancelled_job_does_not_begin_after_its_end_is_known(
    process: Process, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told of the end may rely on it."""
    job = new(owner=HERE.id)
    ledger.write([job])
    attempt, future = process.hold(job), process.future(job.id)
    ledger.cancel(job.id, 3.0)
    seen: list[bool] = []
    monkeypatch.setattr(future, "resolve", lambda record: seen.append(attempt.cancelled()))
    process.listener.on_notice(Notice(ended=(job.id,), owners=(HERE.id,)))
    assert seen == [True]
    assert process.jobs.claimed.find(job.id) is None


def test_if_the_ledger_is_away_it_is_looked_at_later(
    process: Process, ledger: Ledger, tmp_path: Path
) -> None:
    """Nothing is forgotten."""
    awaited = process.future("a")
    ledger.close()
    for part in tmp_path.glob("jobs.sqlite3*"):
        part.unlink()
    process.listener.on_notice(Notice(ended=(awaited.id,)))
    assert process.calls == ["poll", "wake"]
    assert awaited.records == []


def test_who_begins_to_hear_of_ends_looks_once(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job may have ended before."""
    told: list[Callable[..., object]] = []
    monkeypatch.setattr(process.jobs.ledger.notifications, "add_topic", _once(told))
    process.listener.hear_ends()
    process.listener.hear_ends()
    assert process.calls == ["poll", "wake"]


def _once(told: list[Any]) -> Callable[[object], bool]:
    def add_topic(topic: object) -> bool:
        told.append(topic)
        return len(told) == 1

    return add_topic
