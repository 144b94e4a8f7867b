"""Compares the ledger with a dictionary, through any sequence of calls."""

import shutil
import tempfile
from collections.abc import Sequence
from math import inf
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)
from tests.tasks.ledger.ledgertools import URL, end, new, outbox, release_all, start

from dewar.tasks.errors import Duplicate
from dewar.tasks.ledger.claim_plan import Level, Turns, plan_claim
from dewar.tasks.ledger.claiming import ClaimRules
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.owners import LedgerOwner, OwnerRecord
from dewar.tasks.ledger.records import MOVES, JobState, NewJob
from dewar.tasks.limits import TaskLimits
from dewar.tasks.placement import OnDuplicate

OWNERS = st.sampled_from(["a", "b"])
LEASE = 5.0
TASKS = ["resize", "paced"]
RULES = ClaimRules(limits={"paced": TaskLimits(max_running=2)})
#: The places of jobs: the queue, the priority, and whether their task is the one with the limit.
PLACES = st.sampled_from(
    [("default", 0, False), ("default", 5, False), ("mail", 0, False), ("default", 0, True)]
)


class Known:
    """What the model knows of a job."""

    def __init__(self, job: NewJob) -> None:
        self.job = job
        self.state = JobState.QUEUED
        self.owner = job.owner
        self.attempts = 0
        self.due = job.due
        self.stops = False
        self.outcomes = 0

    @property
    def level(self) -> tuple[str, int, str | None]:
        """What it waits in."""
        return self.job.queue, self.job.priority, self.job.task if self.job.limited else None

    def go(self, state: JobState) -> None:
        assert state in MOVES[self.state]
        self.state = state
        self.stops = self.stops and state is JobState.RUNNING
        self.outcomes += state.is_final
        if state is JobState.QUEUED:
            self.owner = None


class LedgerAndModel(RuleBasedStateMachine):
    """Each rule does the same to both, and they must stay the same."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        # Two of them, as two processes have.
        self.ledgers = {name: open_ledger(self.folder / "jobs.sqlite") for name in "ab"}
        self.ledger = self.ledgers["a"]
        self.known: dict[str, Known] = {}
        self.leases: dict[str, float] = {}
        self.turns = {name: Turns() for name in "ab"}
        self.now = 1.0

    def teardown(self) -> None:
        for ledger in self.ledgers.values():
            ledger.close()
        shutil.rmtree(self.folder)

    @rule(target=jobs, owner=st.none() | OWNERS, again=st.booleans(), wait=st.sampled_from([0, 3]))
    def submit(self, owner: str | None, again: bool, wait: float) -> str:
        if owner is not None:
            self.beat(owner)
        job = new(self.now, owner=owner, idempotent=again, due=self.now + wait, callback=URL)
        self.ledger.write([job])
        self.known[job.id] = Known(job)
        return job.id

    @rule(target=jobs, place=PLACES, wait=st.sampled_from([0, 3]))
    def submit_elsewhere(self, place: tuple[str, int, bool], wait: float) -> str:
        queue, priority, limited = place
        task = "paced" if limited else "resize"
        where = {"queue": queue, "priority": priority, "limited": limited, "task": task}
        job = new(self.now, due=self.now + wait, callback=URL, **where)
        self.ledger.write([job])
        self.known[job.id] = Known(job)
        return job.id

    @rule(target=jobs, key=st.sampled_from("kl"), policy=st.sampled_from(OnDuplicate))
    def submit_unique(self, key: str, policy: OnDuplicate) -> str:
        """A duplicate is not accepted; the result is the job that has the key then."""
        job = new(self.now, unique_key=key, on_duplicate=policy, callback=URL)
        written = self.ledger.write([job])
        holder = self._holder(key)
        if holder is not None:
            may = holder.state is JobState.QUEUED and policy is OnDuplicate.REPLACE
            assert written.replaced == ((holder.job.id,) if may else ())
            assert written.duplicates == ({} if may else {job.id: holder.job.id})
            if not may:
                return holder.job.id
            holder.go(JobState.CANCELLED)
        self.known[job.id] = Known(job)
        return job.id

    def _holder(self, key: str | None) -> Known | None:
        holders = [
            known
            for known in self.known.values()
            if key is not None and known.job.unique_key == key and not known.state.is_final
        ]
        assert len(holders) <= 1
        return holders[0] if holders else None

    @rule(name=jobs, owner=OWNERS)
    def begin(self, name: str, owner: str) -> None:
        known = self.known[name]
        counts = known.state is JobState.QUEUED and known.owner == owner
        item = start(known.job, owner, known.attempts + 1, self.now)
        assert (not self.ledgers[owner].write([item]).fenced) == counts
        if counts:
            known.go(JobState.RUNNING)
            known.attempts += 1

    @rule(name=jobs, owner=OWNERS, state=st.sampled_from(JobState), lag=st.sampled_from([0, 0, 1]))
    def finish(self, name: str, owner: str, state: JobState, lag: int) -> None:
        known = self.known[name]
        attempt = known.attempts - lag
        counts = (
            known.state is JobState.RUNNING
            and (known.owner, lag) == (owner, 0)
            and state in MOVES[JobState.RUNNING]
        )
        item = end(known.job, state, attempt, owner=owner, at=self.now, due=self.now + 2)
        assert (not self.ledgers[owner].write([item]).fenced) == counts
        if counts and state is JobState.QUEUED and not known.stops:
            known.go(state)
            known.due = self.now + 2
        elif counts:
            known.go(JobState.CANCELLED if state is JobState.QUEUED else state)

    @rule(owner=OWNERS, limit=st.integers(1, 3))
    def claim(self, owner: str, limit: int) -> None:
        self.beat(owner)
        expected = self._expected(owner, limit)
        claimed = self.ledgers[owner].claim(owner, limit, self.now, TASKS, RULES)
        order = sorted(expected, key=lambda one: (-one.job.priority, one.due, one.job.id))
        assert [job.id for job in claimed] == [known.job.id for known in order]
        for known in expected:
            known.owner = owner

    def _expected(self, owner: str, limit: int) -> list[Known]:
        """Carry out the plan of a claim on the model."""
        levels: dict[tuple[str, int, str | None], list[Known]] = {}
        for known in sorted(self.known.values(), key=lambda one: (one.due, one.job.id)):
            is_waiting = known.state is JobState.QUEUED and known.owner is None
            if is_waiting and known.due <= self.now:
                levels.setdefault(known.level, []).append(known)
        allowed = {"paced": 2 - self._running()}
        if allowed["paced"] <= 0:
            levels = {level: jobs for level, jobs in levels.items() if level[2] is None}
        heads = [
            Level(queue, priority, jobs[0].due, task)
            for (queue, priority, task), jobs in levels.items()
        ]
        found: list[Known] = []
        plan = plan_claim(heads, limit, allowed, self.turns[owner])
        take = next(plan, None)
        while take is not None:
            jobs = levels[take.level.queue, take.level.priority, take.level.task]
            taken, jobs[:] = jobs[: take.count], jobs[take.count :]
            found += taken
            try:
                take = plan.send(len(taken))
            except StopIteration:
                take = None
        return found

    def _running(self) -> int:
        return sum(
            known.job.limited and known.owner is not None and not known.state.is_final
            for known in self.known.values()
        )

    @rule(owner=OWNERS)
    def release(self, owner: str) -> None:
        release_all(self.ledger, owner)
        self._release(owner)

    def _release(self, owner: str) -> None:
        for known in self.known.values():
            if known.owner == owner and known.state is JobState.QUEUED:
                known.owner = None

    @rule(name=jobs)
    def cancel(self, name: str) -> None:
        known = self.known[name]
        assert self.ledger.cancel(name, self.now) == (known.state is JobState.QUEUED)
        if known.state is JobState.QUEUED:
            known.go(JobState.CANCELLED)

    @rule(name=jobs)
    def stop(self, name: str) -> None:
        known = self.known[name]
        assert self.ledger.cancel_running(name) == (known.state is JobState.RUNNING)
        known.stops = known.state is JobState.RUNNING

    @rule(name=jobs)
    def retry(self, name: str) -> None:
        known = self.known[name]
        can = known.state.is_final and known.state is not JobState.DONE
        if can and self._holder(known.job.unique_key) is not None:
            with pytest.raises(Duplicate):
                self.ledger.retry(name, self.now)
            return
        assert self.ledger.retry(name, self.now) == can
        if can:
            known.go(JobState.QUEUED)
            known.due = self.now

    @rule(owner=OWNERS)
    def beat(self, owner: str) -> None:
        known = self.ledger.beat(
            LedgerOwner(id=owner, host="h", pid=1, started=1.0), self.now + LEASE
        )
        assert known == (owner in self.leases)
        self.leases[owner] = self.now + LEASE

    @rule(owner=OWNERS)
    def leave(self, owner: str) -> None:
        self.ledger.leave(owner)
        self.leases.pop(owner, None)
        self._release(owner)

    @rule(dies=st.none() | OWNERS)
    def recover(self, dies: str | None) -> None:
        def find_gone(owners: Sequence[OwnerRecord]) -> list[str]:
            assert {owner.id: owner.lease_until for owner in owners if owner.host} == self.leases
            return [
                owner.id for owner in owners if owner.lease_until < self.now or owner.id == dies
            ]

        recovered = self.ledger.recover(self.now, find_gone)
        self.leases = {
            owner: until
            for owner, until in self.leases.items()
            if until >= self.now and owner != dies
        }
        moved = {"requeued": set(), "lost": set(), "cancelled": set()}
        for known in self.known.values():
            if known.owner is None or known.owner in self.leases or known.state.is_final:
                continue
            if known.state is JobState.QUEUED:
                known.owner = None
            elif known.stops:
                known.go(JobState.CANCELLED)
                moved["cancelled"].add(known.job.id)
            elif known.job.idempotent:
                known.go(JobState.QUEUED)
                moved["requeued"].add(known.job.id)
            else:
                known.go(JobState.LOST)
                moved["lost"].add(known.job.id)
        assert {name: set(getattr(recovered, name)) for name in moved} == moved

    @rule(seconds=st.sampled_from([1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.known)
    @rule(name=consumes(jobs))
    def purge(self, name: str) -> None:
        """Every end has a callback that is still to be made, so nothing may go."""
        assert self.ledger.purge(self.now + 1) == 0

    @invariant()
    def they_are_the_same(self) -> None:
        """Every job that was accepted is there, in the state the model says."""
        found = self.ledgers["b"].get_many(list(self.known))
        assert len(found) == len(self.known)
        for name, known in self.known.items():
            job = found[name]
            assert (job.state, job.attempts) == (known.state, known.attempts)
            assert (job.finished is not None) == job.state.is_final
            if not known.state.is_final:
                assert (job.owner, job.due) == (known.owner, known.due)

    @invariant()
    def each_end_has_one_callback(self) -> None:
        """As many messages were put into the outbox as jobs have ended, those again too."""
        posted = [row.job_id for row in outbox(self.ledger)]
        assert all(posted.count(name) == known.outcomes for name, known in self.known.items())

    @invariant()
    def the_marks_are_the_same(self) -> None:
        """Each owner finds what it shall stop."""
        for owner in "ab":
            stops = {
                name for name, known in self.known.items() if known.stops and known.owner == owner
            }
            assert set(self.ledger.stop_requests(owner)) == stops

    @invariant()
    def the_counts_are_the_same(self) -> None:
        """And so is what is due."""
        counts = self.ledger.counts()
        states = [known.state for known in self.known.values()]
        assert counts == {state: states.count(state) for state in JobState}
        is_blocked = self._running() >= 2
        waiting = [
            known
            for known in self.known.values()
            if known.state is JobState.QUEUED and known.owner is None
        ]
        free = [known.due for known in waiting if not (is_blocked and known.job.limited)]
        outlook = self.ledger.outlook(TASKS, RULES)
        assert outlook.next_due == min(free, default=inf)
        assert outlook.is_blocked == (len(free) < len(waiting))


TestLedgerAndModel = LedgerAndModel.TestCase
TestLedgerAndModel.settings = settings(max_examples=40, stateful_step_count=30)
