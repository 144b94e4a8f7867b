"""What is done again and again."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.ledger.ledgertools import end, new, record, start, state_of

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.records import JobRecord, JobState, NewJob
from dewar.tasks.limits import Rate, TaskLimits
from dewar.tasks.progress import Progress
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.runtime.cancellation import JobCancellation
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.maintenance import LedgerMaintenance, Timers
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.settings import TasksSettings
from dewar.tasks.stored_job import JobFutures


def test_each_is_called_at_its_own_pace() -> None:
    """What is due is called once, and the time to the next is returned."""
    calls: list[str] = []
    rounds = Timers()
    rounds.add(10.0, lambda: calls.append("slow"))
    rounds.add(3.0, lambda: calls.append("quick"))
    assert rounds.run(0.0) == 3.0
    assert rounds.run(2.0) == 1.0
    assert rounds.run(3.0) == 3.0
    assert rounds.run(50.0) == 3.0
    assert calls == ["slow", "quick", "quick", "slow", "quick"]


def test_one_that_was_hurried_is_due_at_once() -> None:
    """The others keep their time."""
    calls: list[int] = []

    def look() -> None:
        calls.append(1)

    rounds = Timers()
    rounds.add(10.0, look)
    rounds.add(5.0, lambda: calls.append(2))
    rounds.run(0.0)
    rounds.make_due(look)
    assert rounds.run(1.0) == 4.0
    assert calls == [1, 2, 1]


def test_one_that_fails_comes_again_at_its_time() -> None:
    """Its error is the caller's."""
    rounds = Timers()
    rounds.add(1.0, lambda: 1 / 0)
    for now in (0.0, 1.0):
        with pytest.raises(ZeroDivisionError):
            rounds.run(now)
    assert rounds.run(1.5) == 0.5


def test_what_the_database_did_not_allow_is_done_again_soon() -> None:
    """A schedule, for instance, is not to be late by its whole interval."""
    rounds = Timers()
    calls: list[str] = []

    def look() -> None:
        calls.append("look")
        if len(calls) == 1:
            raise LedgerError("jobs.sqlite3", "it is away")

    rounds.add(5.0, look)
    rounds.add(0.25, lambda: None, due=90.0)
    with pytest.raises(LedgerError):
        rounds.run(10.0)
    assert rounds.run(10.5) == 0.5
    assert rounds.run(11.0) == 5.0
    assert calls == ["look", "look"]


class Process:
    """The maintenance of a process with a real ledger, in virtual time."""

    def __init__(self, where: Path, name: str, wall: float = 1e9, **settings: Any) -> None:
        self.wall, self.monotonic = wall, 100.0
        self.dispatched: list[str] = []
        self.ledger = open_ledger(where)
        self.jobs = ProcessJobs(
            ledger=self.ledger,
            owner=LedgerOwner(id=name, host="elsewhere", pid=1, started=1.0),
            claimed=ClaimedJobs(1, 10),
            futures=JobFutures(),
            describe=str,
            clock=lambda: self.wall,
            monotonic=lambda: self.monotonic,
            limits=lambda: {"paced": TaskLimits(Rate.read("10/m"), max_running=3)},
        )
        self.maintenance = LedgerMaintenance(
            self.jobs,
            TasksSettings(**{"lease": 15.0, **settings}),
            ["resize", "paced"],
            lambda record: self.dispatched.append(record.id),
            JobCancellation(self.jobs, lambda: None),
        )

    def go_on(self, seconds: float) -> float:
        """Let time pass, and do what is due; return the seconds until something is due again."""
        self.wall += seconds
        self.monotonic += seconds
        return self.maintenance.run_due()

    def hold(self, job: NewJob) -> Attempt:
        """Claim a job as if it was accepted here."""
        self.ledger.write([job])
        attempt = Attempt(JobRecord.of(job), Silent())
        self.jobs.claimed.attempts[job.id] = attempt
        return attempt


class Silent:
    """Listens to an attempt and does nothing."""

    def note_begin(self, attempt: Attempt) -> bool:
        return True

    def note_progress(self, attempt: Attempt, progress: Progress) -> None:
        """Take no notice."""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Makes processes that share a ledger."""
    made: list[Process] = []

    def start(name: str, **settings: Any) -> Process:
        made.append(Process(tmp_path / "jobs.sqlite3", name, **settings))
        return made[-1]

    yield start
    for process in made:
        process.ledger.close()


@pytest.mark.parametrize("step", [-3e7, -3600.0, -60.0, 60.0, 3600.0, 3e7])
def test_a_clock_that_is_set_loses_no_job(make: Callable[..., Process], step: float) -> None:
    """Two processes on two hosts live through it, whichever clock is set, and go on as before."""
    one, other = make("one"), make("other")
    job = new(owner="one", idempotent=False)
    for process in (one, other):
        process.go_on(0.0)
    one.ledger.write([job, start(job, "one")])
    for setting in ([one], [other], [one, other]):
        for process in setting:
            process.wall += step
        for _ in range(10):
            assert one.go_on(5.0) <= 5.0
            assert other.go_on(5.0) <= 5.0
    assert state_of(one.ledger, job) is JobState.RUNNING
    for _ in range(4):
        other.go_on(5.0)
    assert state_of(one.ledger, job) is JobState.LOST


def test_who_was_taken_for_dead_lets_go_of_what_others_have(
    make: Callable[..., Process], caplog: pytest.LogCaptureFixture
) -> None:
    """What has not begun is not begun here any more, and what runs is fenced."""
    away, there = make("away"), make("there")
    for process in (away, there):
        process.go_on(0.0)
    running, waiting = away.hold(new(owner="away")), away.hold(new(owner="away"))
    assert running.set_running_or_notify_cancel()
    away.ledger.write([start(running.record, "away")])
    for _ in range(4):
        there.go_on(5.0)
    assert set(there.dispatched) == {running.record.id, waiting.record.id}
    away.go_on(20.0)
    assert waiting.cancelled()
    assert away.jobs.claimed.all() == [running]
    assert "another one has taken over its jobs. Given back: 1; still running here" in caplog.text
    late = end(running.record, owner="away")
    assert away.ledger.write([late]).fenced == (late,)
    assert state_of(there.ledger, waiting.record) is JobState.QUEUED
    assert record(there.ledger, waiting.record).owner == "there"


def test_retention_keeps_up_with_any_rate(make: Callable[..., Process]) -> None:
    """While there is more to delete, the next piece is due after what waits is written."""
    process = make("one", retention=1.0)
    process.go_on(0.0)
    jobs = [new(1e9 - 100 + at / 1000, owner="one") for at in range(2500)]
    process.ledger.write([*jobs, *(start(job, "one") for job in jobs)])
    process.ledger.write([end(job, owner="one", at=1e9 - 50) for job in jobs])
    pauses = [process.go_on(1.0), *(process.go_on(0.0) for _ in range(3))]
    assert pauses[:2] == [0.0, 0.0]
    assert min(pauses[2:]) > 0.0
    assert process.ledger.list() == []


def test_a_clock_that_is_set_forward_makes_no_result_old(make: Callable[..., Process]) -> None:
    """It is kept as long as it should be, whether the clock stays ahead or is set back."""
    process = make("one", retention=600.0)
    process.go_on(0.0)
    job = new(1e9, owner="one")
    process.ledger.write([job, start(job, "one")])
    process.ledger.write([end(job, owner="one", at=1e9)])
    for step in (3e7, -3e7, 3e7):
        process.wall += step
        for _ in range(12):
            process.go_on(15.0)
        assert state_of(process.ledger, job) is JobState.DONE
    for _ in range(44):
        process.go_on(15.0)
    assert process.ledger.list() == []


def test_a_process_that_starts_while_the_clock_is_ahead_deletes_nothing_at_once(
    make: Callable[..., Process],
) -> None:
    """The clock was wrong only for a moment, and is set right."""
    there, late = make("there", retention=600.0), make("late", wall=1e9 + 3e7, retention=600.0)
    job = new(1e9, owner="there")
    there.ledger.write([job, start(job, "there")])
    there.ledger.write([end(job, owner="there", at=1e9)])
    for _ in range(3):
        late.go_on(15.0)
    late.wall -= 3e7
    for _ in range(20):
        late.go_on(15.0)
    assert state_of(late.ledger, job) is JobState.DONE
    for _ in range(22):
        late.go_on(15.0)
    assert late.ledger.list() == []


def test_the_next_job_of_a_series_is_found_at_once(make: Callable[..., Process]) -> None:
    """After a claim the looks follow closely; in a quiet process they become as rare as allowed."""
    one, other = make("one", poll=0.25), make("other")
    quiet = [one.go_on(0.0), one.go_on(0.25)]
    assert quiet == pytest.approx([0.25, 0.25])
    other.ledger.write([new(1.0)])
    one.go_on(0.25)
    assert len(one.dispatched) == 1
    one.jobs.claimed.attempts.clear()  # it has ended
    pauses = [one.go_on(0.0)]
    while pauses[-1] < 0.2499:
        pauses.append(one.go_on(pauses[-1]))
    assert pauses[0] == pytest.approx(0.005)
    assert all(later > earlier - 1e-9 for earlier, later in pairwise(pauses))
    assert 0.75 <= sum(pauses[:-1]) <= 1.25
    assert one.go_on(0.25) == pytest.approx(0.25)


def test_who_runs_a_job_looks_no_more_often(make: Callable[..., Process]) -> None:
    """A busy process claims when it runs low, and has no time for more."""
    one = make("one", poll=0.25)
    one.go_on(0.0)
    one.hold(new(owner="one"))
    one.jobs.claimed.note_activity(one.monotonic)
    assert [one.go_on(0.25), one.go_on(0.25)] == pytest.approx([0.25, 0.25])


def test_who_leaves_a_job_to_others_looks_for_its_end(make: Callable[..., Process]) -> None:
    """The first one hurries the next look, and those that follow closely need not."""
    one = make("one", poll=0.25)
    one.go_on(0.0)
    assert one.jobs.claimed.note_activity(one.monotonic)
    assert not one.jobs.claimed.note_activity(one.monotonic + 0.01)
    assert one.go_on(0.01) == pytest.approx(0.005)


def test_a_clock_that_is_set_back_holds_no_job_up(
    make: Callable[..., Process], caplog: pytest.LogCaptureFixture
) -> None:
    """What was to run at once runs, in a process that starts later too; what is for later waits."""
    one, there = make("one"), make("there")
    one.go_on(0.0)
    at_once, later = new(1e9), new(1e9, due=1e9 + 50)
    there.ledger.write([at_once, later])
    one.wall -= 86_400.0
    one.go_on(5.0)
    one.go_on(0.25)
    assert one.dispatched == [at_once.id]
    assert "The clock was set back. Jobs that were due before, and are now: 1" in caplog.text
    second = new(1e9)
    there.ledger.write([second])
    late = make("late")
    late.wall = one.wall
    late.go_on(0.0)
    late.go_on(0.25)
    assert late.dispatched == [second.id]
    assert record(one.ledger, later).owner is None


def test_a_job_that_was_just_accepted_is_no_sign_of_a_clock_that_was_set(
    make: Callable[..., Process], caplog: pytest.LogCaptureFixture
) -> None:
    """Another process has accepted it since this one, which begins, has read its clock."""
    one, there = make("one"), make("there")
    job = new(1e9 + 0.5)
    there.ledger.write([job])
    one.go_on(0.0)
    assert "set back" not in caplog.text
    one.go_on(0.5)
    assert one.dispatched == [job.id]


def test_a_slow_look_is_no_step_of_the_clock(
    make: Callable[..., Process],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What others accept meanwhile, or by a clock that is a little ahead, is not called late."""
    one, there = make("one"), make("there")
    recover = one.ledger.recover

    def slow(*args: Any) -> Any:
        one.wall += 9.0
        one.monotonic += 9.0
        there.ledger.write([new(one.wall), new(one.wall + 0.5)])
        return recover(*args)

    monkeypatch.setattr(one.ledger, "recover", slow)
    one.go_on(0.0)
    assert "The clock was set back" not in caplog.text


def test_a_job_for_later_is_claimed_at_its_time(make: Callable[..., Process]) -> None:
    """Not at the next look after it; one without room looks when a job of its own has ended."""
    one = make("one", poll=5.0)
    one.ledger.write([new(1e9, due=1e9 + 1.5)])
    assert one.go_on(0.0) == pytest.approx(1.5)
    assert one.go_on(1.5) > 0.0
    assert len(one.dispatched) == 1
    one.ledger.write([new(1e9, due=1e9 + 3.0)])
    for _ in range(10):
        one.hold(new(1e9, owner="one"))
    one.jobs.claimed.next_due = 1e9 + 3.0
    assert one.go_on(0.1) == pytest.approx(1.4)
    assert one.go_on(1.4) > 1.0
    assert len(one.dispatched) == 1
    one.jobs.claimed.attempts.clear()
    assert one.jobs.claimed.wants_jobs
    one.go_on(0.0)
    assert len(one.dispatched) == 2


def test_jobs_of_a_rate_are_claimed_at_its_pace(make: Callable[..., Process]) -> None:
    """The process wakes up for each, and for nothing in between."""
    one = make("one", poll=30.0, lease=90.0)
    one.go_on(0.0)
    one.ledger.write([new(1e9, task="paced", limited=True) for _ in range(3)])
    one.hold(new(1e9, owner="one"))  # a process that runs nothing looks more often
    one.jobs.claimed.limit = 10
    one.maintenance.poll_soon()
    pauses = [one.go_on(0.0), one.go_on(6.0), one.go_on(6.0)]
    assert len(one.dispatched) == 3
    assert pauses[:2] == pytest.approx([6.0, 6.0], abs=0.01)
    assert pauses[2] > 6.0


def test_a_job_that_waits_for_another_wakes_nobody(make: Callable[..., Process]) -> None:
    """The end of the other one is a change of the ledger, which each look finds."""
    one, there = make("one", poll=5.0), make("there", poll=5.0)
    jobs = [new(1e9 - 100, task="paced", limited=True, owner="there") for _ in range(3)]
    waiting = new(1e9 - 50, task="paced", limited=True)
    there.ledger.write([*jobs, waiting])
    there.ledger.write([start(job, "there") for job in jobs])
    one.jobs.claimed.active_at = -1e9
    assert one.go_on(0.0) == pytest.approx(5.0)
    assert one.dispatched == []
    there.ledger.write([end(jobs[0], owner="there")])
    one.go_on(5.0)
    assert one.dispatched == [waiting.id]


def test_what_is_left_during_a_look_leads_to_another(
    make: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the query and its result another process commits a job, and says so."""
    here = make("here")
    here.go_on(0.0)
    claim, late = here.ledger.claim, new(at=here.wall)

    def claim_and_miss(*given: Any) -> list[JobRecord]:
        found = claim(*given)
        monkeypatch.setattr(here.ledger, "claim", claim)
        here.ledger.write([late])
        here.jobs.claimed.note_jobs()
        return found

    monkeypatch.setattr(here.ledger, "claim", claim_and_miss)
    here.jobs.claimed.note_jobs()
    here.go_on(0.0)
    assert here.dispatched == []
    assert here.jobs.claimed.wants_jobs
    here.go_on(0.0)
    assert here.dispatched == [late.id]


def test_a_look_that_fails_is_made_again(
    make: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice that it was for does not come again."""
    here = make("here")
    here.go_on(0.0)

    def fail(*_given: Any) -> list[JobRecord]:
        raise LedgerError("jobs.sqlite3", "it is away")

    with monkeypatch.context() as patched:
        patched.setattr(here.ledger, "claim", fail)
        here.jobs.claimed.note_jobs()
        with pytest.raises(LedgerError):
            here.go_on(0.0)
    job = new(at=here.wall)
    here.ledger.write([job])
    here.go_on(0.0)
    assert here.dispatched == [job.id]


def test_a_job_for_later_is_claimed_when_it_is_due(make: Callable[..., Process]) -> None:
    """Neither later, as with the next poll, nor with looks in between."""
    here = make("here", poll=1000.0)
    here.go_on(0.0)
    job = new(at=here.wall, due=here.wall + 3.0)
    here.ledger.write([job])
    here.jobs.claimed.note_jobs()
    assert here.go_on(0.0) <= 3.0
    assert here.dispatched == []
    here.go_on(2.9)
    assert here.dispatched == []
    here.go_on(0.2)
    assert here.dispatched == [job.id]


def test_who_is_told_does_not_look_often(
    make: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shortly after a job, one that nobody tells does."""
    here = make("here", poll=1000.0)
    here.go_on(0.0)
    here.jobs.claimed.active_at = here.monotonic
    assert here.go_on(0.0) < 0.1
    monkeypatch.setattr(type(here.ledger.notifications), "is_listening", True)
    told = make("told", poll=1000.0)
    told.go_on(0.0)
    told.jobs.claimed.active_at = told.monotonic
    assert told.go_on(0.0) > 1.0


def test_who_finds_a_dead_process_learns_how_its_jobs_ended(make: Callable[..., Process]) -> None:
    """At once: a process does not tell itself."""
    here, gone = make("here", poll=1000.0), make("gone")
    job = new(owner="gone", idempotent=False)
    for process in (here, gone):
        process.go_on(0.0)
    gone.ledger.write([job, start(job, "gone")])
    future = Awaited(job.id)
    here.jobs.futures.add(job.id, lambda: future)  # type: ignore[arg-type,return-value]
    for _ in range(4):
        here.go_on(5.0)
    assert state_of(here.ledger, job) is JobState.LOST
    assert [found.state for found in future.records] == [JobState.LOST]


class Awaited:
    """Stands for a job that somebody waits for."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.records: list[JobRecord] = []

    def resolve(self, record: JobRecord) -> None:
        self.records.append(record)
