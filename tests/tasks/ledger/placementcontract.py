"""What every ledger does with queues, priorities, limits and unique jobs."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf

import pytest
from sqlalchemy import text
from tests.tasks.ledger.ledgertools import (
    HERE,
    THERE,
    URL,
    LedgerFixtures,
    dead,
    end,
    explained,
    ids,
    new,
    only,
    outbox,
    queued,
    record,
    start,
    state_of,
    tell,
)

from dewar.tasks.errors import Duplicate
from dewar.tasks.ledger.claiming import ClaimRules
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import BatchResult, JobRecord, JobState, NewJob
from dewar.tasks.ledger.recovery import bring_forward
from dewar.tasks.limits import Rate, TaskLimits
from dewar.tasks.placement import OnDuplicate

NOTHING = BatchResult(refused=(), fenced=())
TASKS = ["resize", "other"]
TWO = ClaimRules(limits={"resize": TaskLimits(max_running=2)})
PACED = ClaimRules(limits={"resize": TaskLimits(Rate.read("10/m"))})


def serving(*queues: str) -> ClaimRules:
    return ClaimRules(queues=queues)


def at_once(count: int, function: Callable[[int], object]) -> list[object]:
    """Call a function in threads that begin together; return what it returned."""
    barrier = threading.Barrier(count)

    def run(number: int) -> object:
        barrier.wait(20)
        return function(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


class PlacementContract(LedgerFixtures):
    """Inherited by the tests of each database, which say where it is."""

    #: How often what may only fail now and then is tried.
    ROUNDS = 1

    # Queues and priorities.

    def test_a_job_has_its_place(self, ledger: Ledger) -> None:
        """Written alone or in a batch, it is found with its queue, priority, and key."""
        place = {"queue": "mail", "priority": -7, "limited": True, "unique_key": "k", "due": 9.5}
        alone, unkeyed = new(**place), new(**{**place, "unique_key": None})
        ledger.write([alone])
        ledger.write([unkeyed])
        for job in (alone, unkeyed):
            found = record(ledger, job)
            assert found == JobRecord.of(job)

    def test_only_the_given_queues_are_served(self, ledger: Ledger) -> None:
        """What is in others waits, and does not count for when to look next."""
        mail, bulk, plain = new(queue="mail"), new(queue="bulk", due=0.5), new(due=2.0)
        ledger.write([mail, bulk, plain])
        assert ledger.outlook(TASKS, serving("mail", "default")).next_due == 1.0
        assert ledger.outlook(TASKS, serving("no such")).next_due == inf
        assert ledger.claim(HERE.id, 5, 9.0, TASKS, serving("no such")) == []
        claimed = ledger.claim(HERE.id, 5, 9.0, TASKS, serving("mail", "default"))
        assert ids(claimed) == [mail.id, plain.id]
        assert ids(ledger.claim(HERE.id, 5, 9.0, TASKS)) == [bulk.id]

    def test_a_higher_priority_goes_first(self, ledger: Ledger) -> None:
        """Then what is due earlier; what is not due yet has no priority."""
        late, low, high = new(2.0), new(1.0, priority=-1), new(5.0, priority=10)
        future = new(1.0, due=50.0, priority=100)
        ledger.write([late, low, high, future])
        assert ids(ledger.claim(HERE.id, 1, 9.0, TASKS)) == [high.id]
        assert ids(ledger.claim(HERE.id, 2, 9.0, TASKS)) == [late.id, low.id]
        assert ledger.outlook(TASKS).next_due == 50.0

    def test_queues_take_turns(self, ledger: Ledger) -> None:
        """A long queue keeps no other one waiting."""
        ledger.write([new(1.0, queue="long", priority=9) for _ in range(50)])
        ledger.write([new(2.0, queue=queue) for queue in ("short", "default") for _ in range(3)])
        first = ledger.claim(HERE.id, 12, 9.0, TASKS)
        assert Counter(job.queue for job in first) == {"long": 6, "short": 3, "default": 3}

    def test_the_oldest_is_not_kept_from_running(self, ledger: Ledger) -> None:
        """One of eight that are claimed one by one is the oldest, of whatever priority."""
        ledger.write([new(5.0, priority=9) for _ in range(20)])
        ledger.write([new(1.0), new(2.0)])
        order = [ledger.claim(HERE.id, 1, 9.0, TASKS)[0].priority for _ in range(16)]
        assert order == [9] * 7 + [0] + [9] * 7 + [0]

    def test_unknown_tasks_hide_nothing(self, ledger: Ledger) -> None:
        """The first job of a level may be of a task that this process does not have."""
        ledger.write([new(1.0, task="foreign"), new(1.0, task="foreign", priority=5)])
        ledger.write([new(1.0, task="foreign", limited=True)])
        assert ledger.outlook(TASKS).next_due == inf
        assert ledger.claim(HERE.id, 5, 9.0, TASKS) == []
        job = new(3.0)
        ledger.write([job])
        assert ledger.outlook(TASKS).next_due == 3.0
        assert ids(ledger.claim(HERE.id, 5, 9.0, TASKS)) == [job.id]

    def test_each_task_is_found_behind_unknown_ones(self, ledger: Ledger) -> None:
        """In each level, in order, with what is for later and what has limits or an owner."""
        ledger.write([new(0.5, task="foreign", queue=queue) for queue in ("default", "mail")])
        one, two, three = new(1.0), new(2.0, task="other"), new(3.0)
        mail = new(1.5, queue="mail")
        apart = [new(1.0, due=50.0), new(1.0, limited=True, due=60.0), new(0.1, owner=THERE.id)]
        ledger.write([one, two, three, mail, *apart])
        assert ledger.outlook(TASKS, serving("default")).next_due == 1.0
        assert ids(ledger.claim(HERE.id, 1, 9.0, TASKS, serving("default"))) == [one.id]
        assert ids(ledger.claim(HERE.id, 1, 9.0, ["resize"], serving("default"))) == [three.id]
        assert ids(ledger.claim(HERE.id, 9, 9.0, TASKS)) == [mail.id, two.id]
        assert ledger.outlook(TASKS).next_due == 50.0

    def test_jobs_of_a_queue_are_listed(self, ledger: Ledger) -> None:
        """Alone or with another condition."""
        mail, plain = new(1.0, queue="mail"), new(2.0)
        ledger.write([mail, plain])
        assert ids(ledger.list(queue="mail")) == [mail.id]
        assert ids(ledger.list(JobState.QUEUED, queue="default")) == [plain.id]
        assert ledger.list(task="other", queue="mail") == []

    def test_a_queue_limit_counts_all_queues(self, ledger: Ledger) -> None:
        """Of a task, and not what is for later, wherever a job waits."""
        ledger.write([new(queue="mail"), new(limited=True), new()])
        ledger.write([new(queue="mail", due=50.0), new(limited=True, due=50.0)])
        assert queued(ledger, now=1.0) == 3
        one_more = new(max_queue=4, queue="mail")
        assert ledger.write([one_more]) == NOTHING
        assert ledger.write([replace(one_more, id="next")]).refused

    def test_a_clock_that_was_set_back_holds_up_no_queue(self, ledger: Ledger) -> None:
        """What was due at once is due again in each queue, and what is for later is not."""
        jobs = [new(100.0, queue="mail"), new(100.0, limited=True), new(100.0)]
        later = new(100.0, queue="mail", due=150.0)
        ledger.write([*jobs, later])
        assert bring_forward(ledger.database, lambda: 50.0) == 3
        assert set(ids(ledger.claim(HERE.id, 9, 50.0, TASKS))) == set(ids(jobs))
        assert record(ledger, later).due == 150.0

    # Limits.

    def test_no_more_run_than_may(self, ledger: Ledger) -> None:
        """Claimed ones count, over all owners, until they have ended or were given back."""
        jobs = [new(float(at), limited=True) for at in range(1, 6)]
        ledger.write(jobs)
        first = ledger.claim(HERE.id, 9, 9.0, TASKS, TWO)
        assert ids(first) == ids(jobs[:2])
        assert ledger.outlook(TASKS, TWO).next_due == inf
        assert ledger.outlook(TASKS, TWO).is_blocked
        assert ledger.claim(THERE.id, 9, 9.0, TASKS, TWO) == []
        ledger.write([start(jobs[0]), end(jobs[0])])
        assert ids(ledger.claim(THERE.id, 9, 9.0, TASKS, TWO)) == [jobs[2].id]
        ledger.write([start(jobs[1]), end(jobs[1], JobState.QUEUED, due=30.0)])
        assert ids(ledger.claim(THERE.id, 9, 9.0, TASKS, TWO)) == [jobs[3].id]
        ledger.release(THERE.id, [jobs[2].id])
        assert ids(ledger.claim(HERE.id, 9, 9.0, TASKS, TWO)) == [jobs[2].id]
        assert ledger.claim(HERE.id, 9, 9.0, TASKS, TWO) == []

    def test_what_a_dead_owner_had_may_run_again(self, ledger: Ledger) -> None:
        """Its jobs do not count after it was recovered."""
        jobs = [new(limited=True) for _ in range(4)]
        ledger.write(jobs)
        claimed = ledger.claim(HERE.id, 9, 9.0, TASKS, TWO)
        ledger.write([start(claimed[0])])
        assert ledger.claim(THERE.id, 9, 9.0, TASKS, TWO) == []
        ledger.recover(10.0, only(HERE.id))
        assert len(ledger.claim(THERE.id, 9, 10.0, TASKS, TWO)) == 2

    def test_blocked_jobs_cost_others_no_room(self, ledger: Ledger) -> None:
        """Those of other tasks are claimed, also behind a hundred that may not run."""
        ledger.write([new(limited=True, priority=50) for _ in range(100)])
        others = [new(5.0, task="other") for _ in range(4)]
        ledger.write(others)
        assert len(ledger.claim(HERE.id, 4, 9.0, TASKS, TWO)) == 4
        assert len(ledger.claim(HERE.id, 9, 9.0, TASKS, TWO)) == 2
        assert ledger.claim(HERE.id, 9, 9.0, TASKS, TWO) == []

    def test_a_rate_spreads_jobs(self, ledger: Ledger) -> None:
        """One at a time, and the next one when the rate allows it."""
        ledger.write([new(limited=True) for _ in range(3)])
        now = 1e9
        for _ in range(3):
            assert ledger.outlook(TASKS, PACED).next_due <= now
            assert len(ledger.claim(HERE.id, 9, now, TASKS, PACED)) == 1
            assert ledger.claim(THERE.id, 9, now + 5.9, TASKS, PACED) == []
            now += 6.0
            assert ledger.outlook(TASKS, PACED).next_due in {now, inf}

    def test_a_rate_lives_through_a_clock_that_is_set(self, ledger: Ledger) -> None:
        """Forward it gives no more at once; back it waits no longer than once."""
        ledger.write([new(limited=True) for _ in range(9)])
        now, day = 1e9, 86_400.0
        assert len(ledger.claim(HERE.id, 9, now, TASKS, PACED)) == 1
        assert len(ledger.claim(HERE.id, 9, now + day, TASKS, PACED)) == 1
        assert ledger.claim(HERE.id, 9, now + 20, TASKS, PACED) == []
        bring_forward(ledger.database, lambda: now + 20)
        assert ledger.claim(HERE.id, 9, now + 25.9, TASKS, PACED) == []
        assert len(ledger.claim(HERE.id, 9, now + 26, TASKS, PACED)) == 1
        bring_forward(ledger.database, lambda: now + 26)
        assert ledger.claim(HERE.id, 9, now + 31.9, TASKS, PACED) == []

    def test_a_limited_job_of_a_task_without_limits_runs(self, ledger: Ledger) -> None:
        """The limits are those of the process that claims it."""
        ledger.write([new(limited=True) for _ in range(5)])
        assert len(ledger.claim(HERE.id, 9, 9.0, TASKS)) == 5

    def test_processes_that_claim_at_once_keep_to_the_limit(
        self, ledger: Ledger, where: str
    ) -> None:
        """Each with its own connections, as on its own host."""
        others = [open_ledger(where) for _ in range(3)]
        for _ in range(self.ROUNDS):
            jobs = [new(limited=True) for _ in range(8)]
            ledger.write(jobs)
            claims: list[JobRecord] = []

            def claim(number: int, claims: list[JobRecord] = claims) -> None:
                found = others[number].claim(HERE.id, 5, 9.0, TASKS, TWO)
                claims.extend(found)

            at_once(3, claim)
            assert len(claims) == 2
            ledger.write([*map(start, claims), *map(end, claims)])
            rest = ledger.claim(HERE.id, 9, 9.0, TASKS)
            ledger.write([*map(start, rest), *map(end, rest)])
        for other in others:
            other.close()

    def test_processes_that_claim_at_once_keep_to_the_rate(
        self, ledger: Ledger, where: str
    ) -> None:
        """Each with its own connections, as on its own host."""
        others = [open_ledger(where) for _ in range(3)]
        ledger.write([new(limited=True) for _ in range(2 + self.ROUNDS)])
        for number in range(self.ROUNDS):
            now = 1e9 + 6 * number
            claims = at_once(
                3, lambda index, now=now: len(others[index].claim("x", 5, now, TASKS, PACED))
            )
            assert sum(claims) == 1  # type: ignore[arg-type]
        for other in others:
            other.close()

    # Unique jobs.

    def test_a_second_job_with_a_key_is_a_duplicate(self, ledger: Ledger) -> None:
        """Waiting, claimed or running; when the first has ended there is a new one."""
        first, other = new(unique_key="k"), new(unique_key="other")
        ledger.write([first, other, new(task="other", unique_key="k")])
        for write in ([], [start(first)]):
            ledger.write(write)
            second = new(unique_key="k")
            assert ledger.write([second]).duplicates == {second.id: first.id}
            assert ledger.get(second.id) is None
            ledger.claim(HERE.id, 9, 9.0, TASKS)
        ledger.write([start(first), end(first)])
        third = new(unique_key="k")
        assert ledger.write([third]) == NOTHING
        assert state_of(ledger, third) is JobState.QUEUED

    def test_within_a_batch_the_first_counts(self, ledger: Ledger) -> None:
        """An end in it makes room, for what comes after it."""
        one, two, three = (new(unique_key="k", owner=HERE.id) for _ in range(3))
        batch = [one, two, start(one), end(one), three]
        assert ledger.write(batch).duplicates == {two.id: one.id}
        assert state_of(ledger, one) is JobState.DONE
        assert state_of(ledger, three) is JobState.QUEUED

    def test_a_waiting_job_is_replaced(self, ledger: Ledger) -> None:
        """It is cancelled, with its callback, and the new one waits in its place."""
        old = new(unique_key="k", callback=URL)
        ledger.write([old])
        newer = new(4.0, unique_key="k", on_duplicate=OnDuplicate.REPLACE)
        newest = replace(newer, id="newest")
        written = ledger.write([newer, newest], tell)
        assert written.replaced == (old.id, newer.id)
        assert not written.duplicates
        found = [record(ledger, job) for job in (old, newer, newest)]
        states = [JobState.CANCELLED, JobState.CANCELLED, JobState.QUEUED]
        assert [job.state for job in found] == states
        assert [job.finished for job in found] == [4.0, 4.0, None]
        assert [row.body for row in outbox(ledger)] == [f'["{old.id}", "cancelled"]']

    def test_a_job_that_was_claimed_is_replaced_until_it_runs(self, ledger: Ledger) -> None:
        """Its owner's start comes too late then; a running one is never replaced."""
        old = new(unique_key="k", owner=HERE.id)
        ledger.write([old])
        newer = new(unique_key="k", owner=THERE.id, on_duplicate=OnDuplicate.REPLACE)
        assert ledger.write([newer]).replaced == (old.id,)
        late = start(old)
        assert ledger.write([late]).fenced == (late,)
        ledger.write([start(newer, THERE.id)])
        newest = new(unique_key="k", on_duplicate=OnDuplicate.REPLACE)
        written = ledger.write([newest])
        assert (written.duplicates, written.replaced) == ({newest.id: newer.id}, ())
        assert state_of(ledger, newer) is JobState.RUNNING

    def test_what_was_written_already_is_no_duplicate(self, ledger: Ledger) -> None:
        """The same job may be written again, also after it has ended, alone and with others."""
        job = new(unique_key="k", owner=HERE.id)
        ledger.write([job])
        assert ledger.write([job]) == NOTHING
        ledger.write([start(job), end(job)])
        other = new(unique_key="k")
        assert ledger.write([job, other]) == NOTHING
        assert ledger.write([job]) == NOTHING
        assert state_of(ledger, job) is JobState.DONE
        assert state_of(ledger, other) is JobState.QUEUED

    def test_a_duplicate_takes_no_place_in_a_full_queue(self, ledger: Ledger) -> None:
        """It is a duplicate, and not refused; one that is refused replaces nothing."""
        job = new(unique_key="k")
        ledger.write([job])
        second = new(unique_key="k", max_queue=1)
        assert ledger.write([second]).duplicates == {second.id: job.id}
        third = new(unique_key="k", max_queue=1, on_duplicate=OnDuplicate.REPLACE)
        written = ledger.write([third])
        assert (written.refused, written.replaced) == ((third,), ())
        assert state_of(ledger, job) is JobState.QUEUED

    def test_a_job_keeps_its_key_until_it_has_ended(self, ledger: Ledger) -> None:
        """Over a retry, and over the death of its process."""
        job = new(unique_key="k", owner=HERE.id)
        ledger.write([job, start(job), end(job, JobState.QUEUED, due=5.0)])
        assert ledger.write([new(unique_key="k")]).duplicates
        ledger.claim(HERE.id, 1, 5.0, TASKS)
        ledger.write([start(job, attempt=2)])
        ledger.recover(9.0, dead)
        assert ledger.write([new(unique_key="k")]).duplicates
        assert ledger.cancel(job.id, 10.0)
        assert ledger.write([new(unique_key="k")]) == NOTHING

    def test_an_ended_job_is_not_repeated_beside_another(self, ledger: Ledger) -> None:
        """By hand; when the other has ended, it is."""
        job = new(unique_key="k", owner=HERE.id)
        ledger.write([job, start(job), end(job, JobState.FAILED, error="{}")])
        other = new(unique_key="k", owner=HERE.id)
        ledger.write([other])
        with pytest.raises(Duplicate, match="resize"):
            ledger.retry(job.id, 9.0)
        assert state_of(ledger, job) is JobState.FAILED
        ledger.write([start(other), end(other)])
        assert ledger.retry(job.id, 9.0)
        assert ledger.write([new(unique_key="k")]).duplicates

    def test_of_many_that_submit_at_once_one_is_accepted(self, ledger: Ledger, where: str) -> None:
        """Each process with its own connections; the others learn of that one."""
        others = [open_ledger(where) for _ in range(4)]
        for number in range(self.ROUNDS):
            jobs = [new(unique_key=f"k{number}") for _ in others]
            plain = [new() for _ in others]

            def submit(
                index: int, jobs: Sequence[NewJob] = jobs, plain: Sequence[NewJob] = plain
            ) -> BatchResult:
                batch = [plain[index], jobs[index]] if index % 2 else [jobs[index]]
                return others[index].write(batch)

            written = at_once(len(others), submit)
            kept = [job for job in jobs if ledger.get(job.id) is not None]
            assert len(kept) == 1
            for job, result in zip(jobs, written, strict=True):
                expected = {} if job is kept[0] else {job.id: kept[0].id}
                assert result.duplicates == expected  # type: ignore[attr-defined]
            assert len(ledger.get_many(ids(plain[1::2]))) == 2
        for other in others:
            other.close()

    def test_batches_with_the_same_keys_wait_for_each_other_in_order(
        self, ledger: Ledger, where: str
    ) -> None:
        """In whichever order they have them, none is the victim of a deadlock."""
        others = [open_ledger(where) for _ in range(3)]
        for number in range(self.ROUNDS):
            keys = [f"{number}.{index}" for index in range(20)]

            def submit(index: int, keys: Sequence[str] = keys) -> BatchResult:
                ordered = keys[::-1] if index % 2 else keys
                return others[index].write([new(unique_key=key) for key in ordered])

            written = at_once(len(others), submit)
            duplicates = sum(len(result.duplicates) for result in written)  # type: ignore[attr-defined]
            assert duplicates == 2 * len(keys)
        for other in others:
            other.close()

    def test_of_many_that_replace_at_once_one_waits(self, ledger: Ledger, where: str) -> None:
        """All others are cancelled, and none is lost."""
        others = [open_ledger(where) for _ in range(4)]
        for number in range(self.ROUNDS):
            jobs = [new(unique_key=f"k{number}", on_duplicate=OnDuplicate.REPLACE) for _ in others]

            def submit(index: int, jobs: Sequence[NewJob] = jobs) -> BatchResult:
                return others[index].write([jobs[index]])

            at_once(len(others), submit)
            states = Counter(state_of(ledger, job) for job in jobs)
            assert states == {JobState.QUEUED: 1, JobState.CANCELLED: len(others) - 1}
        for other in others:
            other.close()

    def test_the_index_decides(self, ledger: Ledger) -> None:
        """Also against a process that does not look for duplicates."""
        first, second = new(unique_key="k"), new(unique_key="other")
        ledger.write([first, second])
        with pytest.raises(Exception, match=r"(?i)unique"), ledger.database.writing() as connection:
            connection.execute(text("UPDATE dewar_jobs SET unique_key = 'k'"))
        assert record(ledger, second).unique_key == "other"

    # Speed.

    @pytest.mark.parametrize("rules", [ClaimRules(), serving("default"), TWO, PACED])
    def test_a_claim_reads_no_more_than_it_returns(self, ledger: Ledger, rules: ClaimRules) -> None:
        """Its statements find what they need in the indexes for it."""
        jobs = [
            new(float(at), queue=queue, priority=priority, limited=limited)
            for at in range(200)
            for queue in ("default", "mail")
            for priority in (0, 5)
            for limited in (False, True)
        ]
        ledger.write(jobs)
        self.check_plans(ledger, rules)

    def test_unknown_tasks_are_not_read(self, ledger: Ledger) -> None:
        """However many of their jobs are older than the own ones."""
        ledger.write([new(float(at) / 1000, task="foreign") for at in range(3000)])
        ledger.write([new(float(at)) for at in range(10, 20)])
        self.check_plans(ledger, ClaimRules())

    def test_jobs_in_another_queue_are_not_read_for_unknown_tasks(self, ledger: Ledger) -> None:
        """Those of the own task, however many, where jobs of another one are the oldest."""
        ledger.write([new(1.0, task="foreign")])
        ledger.write([new(float(at), queue="mail") for at in range(3000)])
        plans = explained(ledger, lambda ledger: ledger.outlook(TASKS))
        assert re.search(
            r"due ?<", next(plan for plan in plans if "queued" in plan and "due" in plan)
        )
        assert ledger.outlook(TASKS).next_due == 0.0
        assert ledger.outlook(TASKS, serving("default")).next_due == inf

    def test_jobs_for_later_are_not_counted(self, ledger: Ledger) -> None:
        """A queue is counted up to a time, in each of the ranges that times are in."""
        ledger.write([new(1.0, due=5e9 + at, queue="mail") for at in range(3000)])
        with ledger.database.writing() as connection:
            connection.execute(text("ANALYZE"))
        plan = explained(ledger, queued)[-1]
        assert len(re.findall(r"task=\? AND due|Index Cond: .*task = .*due <=", plan)) == 3

    def check_plans(self, ledger: Ledger, rules: ClaimRules) -> None:
        """Check that no statement of a claim reads a whole table."""
        with ledger.database.writing() as connection:
            connection.execute(text("ANALYZE"))
        for plan in explained(ledger, lambda one: one.claim("x", 5, 500.0, TASKS, rules)):
            assert "Seq Scan on dewar_jobs" not in plan
            assert "SCAN dewar_jobs'" not in plan
            assert "SCAN j'" not in plan
