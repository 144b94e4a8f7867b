"""What every ledger does, wherever it is kept."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from math import inf
from typing import Any

import pytest
from sqlalchemy import text
from tests.tasks.ledger.ledgertools import (
    HERE,
    THERE,
    URL,
    LedgerFixtures,
    alive,
    dead,
    end,
    explained,
    ids,
    in_child,
    new,
    only,
    outbox,
    owners,
    queued,
    record,
    release_all,
    start,
    state_of,
    tell,
)

from dewar.tasks.errors import JobLost, LedgerError, TaskSetupError
from dewar.tasks.ledger.interruption import Interruptions, lost_error
from dewar.tasks.ledger.job_filter import JobFilter
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.queue_overview import read_queues
from dewar.tasks.ledger.records import (
    AttemptStart,
    BatchResult,
    JobState,
    Outcome,
    ProgressUpdate,
    StopRequest,
)
from dewar.tasks.serialization.failures import make_error
from dewar.tasks.serialization.values import pack, unpack
from exactvalues import EXACT, assert_same

NOTHING = BatchResult(refused=(), fenced=())
TASKS = ["resize"]


class LedgerContract(LedgerFixtures):
    """Inherited by the tests of each database, which say where it is."""

    # Writing.

    def test_a_new_job_waits_with_all_that_was_said_of_it(self, ledger: Ledger) -> None:
        """An accepted job is found with all its fields unchanged."""
        job = new(5.0, context='{"ä": 1}', due=7.0, idempotent=False, callback=URL, max_queue=3)
        assert ledger.write([job]) == NOTHING
        found = record(ledger, job)
        assert (found.task, found.arguments, found.context) == ("resize", "[[1],{}]", '{"ä": 1}')
        assert (found.created, found.due, found.callback) == (5.0, 7.0, URL)
        assert (found.state, found.owner, found.attempts) == (JobState.QUEUED, None, 0)
        assert not found.idempotent
        assert (found.started, found.finished, found.result, found.error) == (None,) * 4

    def test_a_job_that_nobody_knows_is_none(self, ledger: Ledger) -> None:
        """An unknown id is a value, and so is an unknown one among known ones."""
        job = new()
        ledger.write([job])
        assert ledger.get("nobody's") is None
        assert list(ledger.get_many([job.id, "nobody's"])) == [job.id]

    def test_a_whole_life_may_be_written_at_once_or_in_steps(self, ledger: Ledger) -> None:
        """The batches that things come in make no difference."""
        one, other = new(owner=HERE.id), new(owner=HERE.id)
        whole = [
            one,
            start(one),
            ProgressUpdate(id=one.id, fraction=0.5, message="half"),
            end(one, result="7"),
        ]
        assert ledger.write(whole) == NOTHING
        steps = [
            other,
            start(other),
            ProgressUpdate(id=other.id, fraction=0.5, message="half"),
            end(other, result="7"),
        ]
        for item in steps:
            assert ledger.write([item]) == NOTHING
        found = record(ledger, other)
        assert replace(record(ledger, one), id=found.id) == found
        assert (found.state, found.result, found.attempts) == (JobState.DONE, "7", 1)
        assert (found.started, found.finished) == (2.0, 3.0)
        assert (found.fraction, found.message) == (0.5, "half")

    def test_nothing_is_written_of_an_empty_batch(self, ledger: Ledger) -> None:
        """An empty batch does not even wait for other writers."""
        with ledger.database.writing():
            assert ledger.write([]) == NOTHING

    def test_a_large_batch_is_written_whole(self, ledger: Ledger) -> None:
        """There may be more items than a statement has parameters."""
        jobs = [new(owner=HERE.id) for _ in range(5000)]
        ledger.write(jobs)
        assert ledger.write([start(job) for job in jobs]) == NOTHING
        assert ledger.counts()[JobState.RUNNING] == 5000
        assert len(ledger.get_many(ids(jobs))) == 5000

    def test_a_retry_waits_again_for_anybody(self, ledger: Ledger) -> None:
        """A repeated job has lost its owner, keeps its error, and is due when it was said."""
        job = new(owner=HERE.id)
        ledger.write([job, start(job), end(job, JobState.QUEUED, error='{"text": "x"}', due=9.0)])
        found = record(ledger, job)
        assert (found.state, found.owner, found.due) == (JobState.QUEUED, None, 9.0)
        assert (found.attempts, found.error, found.started) == (1, '{"text": "x"}', None)
        assert ledger.claim(THERE.id, 5, 8.9, TASKS) == []
        assert ids(ledger.claim(THERE.id, 5, 9.0, TASKS)) == [job.id]
        assert ledger.write([start(job, THERE.id, attempt=2)]) == NOTHING

    def test_what_comes_from_elsewhere_does_not_count(self, ledger: Ledger) -> None:
        """Only the owner begins and ends a job, at the attempt that is due, and once."""
        job = new(owner=HERE.id)
        ledger.write([job])
        early, foreign, late = end(job), start(job, THERE.id), start(job, attempt=2)
        assert ledger.write([early, foreign, late]).fenced == (early, foreign, late)
        ledger.write([start(job)])
        again, foreigner, other = start(job), end(job, owner=THERE.id), end(job, attempt=2)
        assert ledger.write([again, foreigner, other]).fenced == (again, foreigner, other)
        running = end(job, JobState.RUNNING)
        assert ledger.write([running]).fenced == (running,)
        second = end(job, JobState.FAILED, error="{}")
        assert ledger.write([end(job, result="1"), second]).fenced == (second,)
        assert record(ledger, job).result == "1"
        unknown = AttemptStart(id="nobody's", owner=HERE.id, attempt=1, at=1.0)
        assert ledger.write([unknown]).fenced == (unknown,)

    def test_what_is_fenced_takes_nothing_else_with_it(self, ledger: Ledger) -> None:
        """The rest of the batch counts."""
        good, bad = new(owner=HERE.id), new(owner=THERE.id)
        ledger.write([good, bad])
        fenced = start(bad)
        assert ledger.write([start(good), fenced, end(good)]).fenced == (fenced,)
        assert state_of(ledger, good) is JobState.DONE

    def test_progress_counts_while_a_job_runs(self, ledger: Ledger) -> None:
        """Progress before the start, after the end, or of an unknown job is ignored."""
        job = new(owner=HERE.id)
        update = ProgressUpdate(id=job.id, fraction=0.25, message="a\0b\udc80")
        ledger.write([job, update])
        assert record(ledger, job).fraction is None
        ledger.write([start(job), update, ProgressUpdate(id="nobody's", fraction=1.0, message="")])
        assert (record(ledger, job).fraction, record(ledger, job).message) == (0.25, "ab?")
        ledger.write([end(job)])
        ledger.write([ProgressUpdate(id=job.id, fraction=0.75, message="late")])
        assert record(ledger, job).fraction == 0.25

    def test_a_full_queue_refuses(self, ledger: Ledger) -> None:
        """The number of waiting jobs of a task is limited; a start frees a place."""
        first, second, third = (new(max_queue=2, owner=HERE.id) for _ in range(3))
        other = new(task="other", max_queue=1)
        written = ledger.write([first, second, third, other])
        assert written.refused == (third,)
        assert ledger.get(third.id) is None
        assert queued(ledger, "resize") == 2
        assert queued(ledger, "nobody's") == 0
        assert ledger.write([start(first), third]) == NOTHING
        assert ledger.write([new(max_queue=0)]).refused
        free = new()
        assert ledger.write([free]) == NOTHING
        retry = end(first, JobState.QUEUED)
        extra = new(max_queue=4)
        assert ledger.write([retry, extra]).refused == (extra,)

    def test_jobs_that_are_not_due_fill_no_queue(self, ledger: Ledger) -> None:
        """Neither those that were submitted for later nor those that pause before a retry."""
        later = [new(1.0, due=50.0) for _ in range(5)]
        paused = new(1.0, owner=HERE.id)
        again = end(paused, JobState.QUEUED, due=60.0)
        ledger.write([*later, paused, start(paused), again])
        waiting = [new(2.0, max_queue=2) for _ in range(3)]
        assert ledger.write(waiting).refused == (waiting[2],)
        mixed = [new(2.0, due=50.0), new(2.0, max_queue=3), new(2.0, max_queue=3)]
        assert ledger.write(mixed).refused == (mixed[2],)
        due = new(55.0, max_queue=9)
        assert ledger.write([due]).refused == (due,)

    def test_what_was_written_already_is_not_accepted_twice(self, ledger: Ledger) -> None:
        """After a write whose end was not seen, the same may be written again."""
        one, two = new(owner=HERE.id), new()
        ledger.write([one, start(one)])
        assert ledger.write([one, two]) == NOTHING
        assert state_of(ledger, one) is JobState.RUNNING
        assert state_of(ledger, two) is JobState.QUEUED

    def test_text_that_a_database_refuses_fails_no_batch(self, ledger: Ledger) -> None:
        """NUL and lone surrogates are taken out."""
        job = new(owner=HERE.id, arguments="a\0", context="\ud800", callback=URL)
        ledger.write([job, start(job), end(job, result="\0ä\ud800", callback_body="\0")])
        found = record(ledger, job)
        assert (found.arguments, found.context, found.result) == ("a", "?", "ä?")

    def test_every_packed_text_comes_back(self, ledger: Ledger) -> None:
        """What the database would refuse or change is not in it, whichever JSON writes it."""
        jobs = [new(owner=HERE.id) for _ in (*EXACT, *EXACT)]
        dumps = (json.dumps, partial(json.dumps, ensure_ascii=False))
        texts = [pack(value, dump) for dump in dumps for value in EXACT]
        for job, packed in zip(jobs, texts, strict=True):
            ledger.write([replace(job, arguments=packed), start(job), end(job, result=packed)])
        for job, packed, value in zip(jobs, texts, (*EXACT, *EXACT), strict=True):
            found = record(ledger, job)
            assert (found.arguments, found.result) == (packed, packed)
            assert_same(unpack(found.result or ""), value)

    # Callbacks.

    @pytest.mark.parametrize(
        "state", [JobState.DONE, JobState.FAILED, JobState.LOST, JobState.CANCELLED]
    )
    def test_an_end_is_put_into_the_outbox(self, ledger: Ledger, state: JobState) -> None:
        """Each job with a callback gets one message with its own id and the outcome."""
        job, quiet = new(owner=HERE.id, callback=URL), new(owner=HERE.id)
        ledger.write([job, quiet, start(job), start(quiet)])
        assert outbox(ledger) == []
        ending = end(job, state, callback_body="{}")
        ledger.write([ending, end(quiet, state), ending])
        [row] = outbox(ledger)
        assert (row.job_id, row.url, row.body, row.state) == (job.id, URL, "{}", "pending")
        assert (row.created, row.due, row.attempts, row.owner) == (3.0, 3.0, 0, None)
        assert row.id.startswith("msg_")
        assert job.id not in row.id

    def test_an_end_without_a_body_is_described(self, ledger: Ledger) -> None:
        """The caller's function sees the job as it ended."""
        job = new(owner=HERE.id, callback=URL)
        ledger.write([job, start(job), end(job, JobState.LOST)], tell)
        [row] = outbox(ledger)
        assert row.body == f'["{job.id}", "lost"]'

    def test_a_retry_posts_nothing(self, ledger: Ledger) -> None:
        """There is no outcome yet."""
        job = new(owner=HERE.id, callback=URL)
        ledger.write([job, start(job), end(job, JobState.QUEUED, callback_body="{}")])
        assert outbox(ledger) == []

    # Claiming.

    def test_the_oldest_due_is_claimed_first(self, ledger: Ledger) -> None:
        """Due, waiting jobs of known tasks without an owner are claimed, up to the limit."""
        late, early, future = new(due=5.0), new(due=4.0), new(due=50.0)
        owned, foreign = new(owner=THERE.id), new(task="foreign")
        ledger.write([late, early, future, owned, foreign])
        assert ledger.outlook(["foreign"]).next_due == 1.0
        assert ledger.outlook(TASKS).next_due == 4.0
        assert ids(ledger.claim(HERE.id, 1, 10.0, TASKS)) == [early.id]
        [claimed] = ledger.claim(HERE.id, 5, 10.0, TASKS)
        assert (claimed.id, claimed.owner, claimed.state) == (late.id, HERE.id, JobState.QUEUED)
        assert ledger.claim(HERE.id, 5, 10.0, TASKS) == []
        assert ledger.claim(HERE.id, 5, 100.0, []) == []
        assert ledger.outlook(TASKS).next_due == 50.0
        assert ledger.outlook([]).next_due == inf

    def test_what_is_released_is_anybodys_again(self, ledger: Ledger) -> None:
        """An owner gives back its own jobs that have not begun."""
        mine, running, others = new(owner=HERE.id), new(owner=HERE.id), new(owner=THERE.id)
        ledger.write([mine, running, others, start(running)])
        assert ledger.release(HERE.id, ids([mine, running, others])) == 1
        assert [record(ledger, job).owner for job in (mine, running, others)] == [
            None,
            HERE.id,
            THERE.id,
        ]
        assert release_all(ledger, THERE.id) == 1
        assert len(ledger.claim(THERE.id, 5, 10.0, TASKS)) == 2

    def test_no_job_is_claimed_twice(self, ledger: Ledger) -> None:
        """Threads that claim at the same time share the jobs out."""
        jobs = [new() for _ in range(60)]
        ledger.write(jobs)
        barrier = threading.Barrier(4)

        def claim(owner: str) -> list[str]:
            barrier.wait(10)
            found: list[str] = []
            while claimed := ledger.claim(owner, 3, 10.0, TASKS):
                found += ids(claimed)
            return found

        with ThreadPoolExecutor(4) as threads:
            claimed = [job for found in threads.map(claim, "abcd") for job in found]
        assert sorted(claimed) == sorted(ids(jobs))

    def test_of_two_outcomes_at_once_one_counts(self, ledger: Ledger) -> None:
        """A cancellation, an owner's start, and another's limit meet: each job goes one way."""
        jobs = [new(owner=HERE.id) for _ in range(20)]
        ledger.write(jobs)
        barrier = threading.Barrier(2)

        def cancel() -> list[bool]:
            barrier.wait(10)
            return [ledger.cancel(job.id, 3.0) for job in jobs]

        def begin() -> list[bool]:
            barrier.wait(10)
            return [not ledger.write([start(job)]).fenced for job in reversed(jobs)][::-1]

        with ThreadPoolExecutor(2) as threads:
            cancelled, begun = threads.submit(cancel), threads.submit(begin)
        both = list(zip(cancelled.result(), begun.result(), strict=True))
        assert all(one is not other for one, other in both)

    def test_a_limit_holds_when_many_submit_at_once(self, ledger: Ledger) -> None:
        """Two that count at the same time do not both find the last place."""
        barrier = threading.Barrier(4)

        def submit(_: int) -> int:
            barrier.wait(10)
            return sum(not ledger.write([new(max_queue=7)]).refused for _ in range(5))

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(submit, range(4))) == 7
        assert queued(ledger, "resize") == 7

    # Cancelling and repeating.

    def test_a_waiting_job_is_cancelled(self, ledger: Ledger) -> None:
        """It ends there and then, with its callback; its owner's start comes too late."""
        job = new(owner=HERE.id, callback=URL)
        ledger.write([job])
        assert ledger.cancel(job.id, 4.0, tell)
        assert not ledger.cancel(job.id, 5.0)
        assert (state_of(ledger, job), record(ledger, job).finished) == (JobState.CANCELLED, 4.0)
        assert outbox(ledger)[0].body == f'["{job.id}", "cancelled"]'
        assert ledger.write([start(job)]).fenced
        assert not ledger.cancel("nobody's", 4.0)

    def test_a_running_job_is_marked_to_be_stopped(self, ledger: Ledger) -> None:
        """Its owner finds the mark, until the job has ended."""
        job, other = new(owner=HERE.id), new(owner=THERE.id)
        ledger.write([job, other])
        assert not ledger.cancel_running(job.id)
        ledger.write([start(job), start(other, THERE.id)])
        assert not ledger.cancel(job.id, 4.0)
        assert ledger.cancel_running(job.id)
        assert ledger.stop_requests(HERE.id) == [job.id]
        assert ledger.stop_requests(THERE.id) == []
        ledger.write([end(job, JobState.CANCELLED)])
        assert ledger.stop_requests(HERE.id) == []
        assert not ledger.cancel_running(job.id)

    def test_a_job_that_shall_stop_is_not_repeated(self, ledger: Ledger) -> None:
        """A retry of it is its cancellation, with the callback."""
        job = new(owner=HERE.id, callback=URL)
        ledger.write([job, start(job)])
        ledger.cancel_running(job.id)
        assert ledger.write([end(job, JobState.QUEUED, error="{}")], tell) == NOTHING
        assert (state_of(ledger, job), record(ledger, job).finished) == (JobState.CANCELLED, 3.0)
        assert outbox(ledger)[0].body == f'["{job.id}", "cancelled"]'

    def test_an_owner_writes_that_its_job_is_to_end(self, ledger: Ledger) -> None:
        """After its begin, which may be in the same batch. If the owner dies, it is cancelled."""
        job, waiting = new(owner=HERE.id), new(owner=HERE.id)
        ledger.write([job, waiting])
        ledger.write([start(job), StopRequest(id=job.id), StopRequest(id=waiting.id)])
        assert ledger.stop_requests(HERE.id) == [job.id]
        ledger.write([end(job, JobState.QUEUED)])
        assert state_of(ledger, job) is JobState.CANCELLED
        assert state_of(ledger, waiting) is JobState.QUEUED
        assert ledger.stop_requests(HERE.id) == []

    @pytest.mark.parametrize("state", [JobState.FAILED, JobState.LOST, JobState.CANCELLED])
    def test_what_ended_badly_is_repeated_by_hand(self, ledger: Ledger, state: JobState) -> None:
        """It waits as if it were new, but an old attempt's outcome is still fenced."""
        job = new(owner=HERE.id)
        ledger.write([job, start(job), end(job, state, error="{}")])
        assert ledger.retry(job.id, 8.0)
        found = record(ledger, job)
        assert (found.state, found.due, found.owner) == (JobState.QUEUED, 8.0, None)
        assert (found.finished, found.error, found.started) == (None, None, None)
        assert not ledger.retry(job.id, 8.0)
        ledger.claim(HERE.id, 1, 8.0, TASKS)
        assert ledger.write([start(job), end(job)]).fenced
        assert ledger.write([start(job, attempt=2), end(job, attempt=2)]) == NOTHING
        assert not ledger.retry(job.id, 9.0)

    # Looking.

    def test_jobs_are_listed_the_newest_first(self, ledger: Ledger) -> None:
        """By state and task, a page at a time."""
        jobs = [new(float(at), owner=HERE.id) for at in range(1, 7)]
        ledger.write(
            [*jobs, start(jobs[0]), start(jobs[1]), end(jobs[0], JobState.FAILED), end(jobs[1])]
        )
        newest = ids(jobs)[::-1]
        assert ids(ledger.list()) == newest
        assert ids(ledger.list(limit=2)) == newest[:2]
        assert ids(ledger.list(limit=2, before=newest[1])) == newest[2:4]
        assert ids(ledger.list(JobState.QUEUED)) == newest[:4]
        assert ids(ledger.list(JobState.QUEUED, before=newest[1])) == newest[2:4]
        assert ids(ledger.list(JobState.FAILED)) == [jobs[0].id]
        assert ids(ledger.list(JobState.DONE)) == [jobs[1].id]
        assert ledger.list(JobState.RUNNING) == []
        assert ledger.list(task="other") == []
        assert ids(ledger.list(task="resize", limit=1)) == newest[:1]

    def test_jobs_are_found_by_time_and_error(self, ledger: Ledger) -> None:
        """The error is searched as a text, in which no character stands for others."""
        old, young = new(1.0, owner=HERE.id), new(5.0, owner=HERE.id)
        ledger.write([old, young, start(old)])
        error = json.dumps({"type": "shop:NoInk", "text": "50% of the é ink", "traceback": ""})
        ledger.write([replace(end(old, JobState.FAILED), error=error)])

        def found(**given: Any) -> list[str]:
            wanted = JobFilter(**given)
            jobs = ledger.find(wanted)
            assert ledger.count(wanted) == len(jobs)
            return ids(jobs)

        assert found(since=2.0) == [young.id]
        assert found(until=2.0) == [old.id]
        assert found(error="noink") == found(error="50% OF THE é") == [old.id]
        assert found(error="50_ of") == found(error="zz", state=JobState.FAILED) == []

    def test_queues_are_counted_by_task(self, ledger: Ledger) -> None:
        """What is due, what comes later or waits for something else, and what runs."""
        running, hidden = new(3.0, owner=HERE.id), new(1.0, due=1e13)
        ledger.write(
            [
                new(2.0), new(4.0), new(1.0, due=50.0), hidden, running, start(running),
                new(1.0, due=7.0, queue="mail", limited=True), new(1.0, due=99.0, queue="mail"),
            ]
        )  # fmt: skip
        default = {"queue": "default", "task": "resize", "running": 1}
        mail = {"queue": "mail", "task": "resize", "running": 0}
        assert [asdict(one) for one in read_queues(ledger.database, 10.0)] == [
            {**default, "waiting": 2, "later": 2, "oldest_due": 2.0, "next_due": 50.0},
            {**mail, "waiting": 1, "later": 1, "oldest_due": 7.0, "next_due": 99.0},
        ]

    def test_jobs_are_counted_by_state(self, ledger: Ledger) -> None:
        """Each state has a number, and each job is in one."""
        assert set(ledger.counts().values()) == {0}
        assert list(ledger.counts()) == list(JobState)
        for number, state in enumerate(JobState):
            for _ in range(number):
                job = new(owner=HERE.id)
                ledger.write([job])
                if state is not JobState.QUEUED:
                    ledger.write([start(job)])
                if state.is_final:
                    ledger.write([end(job, state)])
        assert list(ledger.counts().values()) == list(range(len(JobState)))

    def test_a_commit_shows_as_a_change(self, ledger: Ledger, where: str) -> None:
        """The number is another one after each commit, here or elsewhere."""
        other = open_ledger(where)
        numbers = [ledger.changes()]
        for writer in (ledger, other, other):
            writer.write([new()])
            numbers.append(ledger.changes())
        ledger.close()
        numbers.append(ledger.changes())
        assert len(set(numbers[:4])) == 4
        other.close()

    # Owners.

    def test_an_owner_that_is_there_keeps_its_jobs(self, ledger: Ledger) -> None:
        """Whatever its lease says: that is for the caller to judge."""
        job = new(owner=HERE.id)
        ledger.write([job, start(job)])
        assert ledger.recover(1e9, alive).requeued == ()
        assert ledger.beat(HERE, until=200.0)
        assert ledger.beat(THERE, until=100.0)
        assert ledger.recover(1e9, only(THERE.id)).requeued == ()
        assert [owner.id for owner in owners(ledger)] == [HERE.id]
        assert owners(ledger)[0].lease_until == 200.0
        assert not ledger.beat(THERE, until=200.0)

    def test_what_an_owner_leaves_behind_goes_on(self, ledger: Ledger) -> None:
        """When it is gone, repeatable jobs wait and the others are lost."""
        now = 50.0
        again, waiting = new(owner=HERE.id), new(owner=HERE.id)
        once = new(owner=HERE.id, idempotent=False, callback=URL)
        stopped = new(owner=HERE.id, callback=URL)
        running = [start(again), start(once), start(stopped)]
        ledger.write([again, waiting, once, stopped, *running])
        ledger.cancel_running(stopped.id)
        recovered = ledger.recover(now, dead, tell)
        assert (recovered.requeued, recovered.lost) == ((again.id,), (once.id,))
        assert recovered.cancelled == (stopped.id,)
        found = record(ledger, again)
        assert (found.state, found.owner, found.attempts) == (JobState.QUEUED, None, 1)
        assert record(ledger, waiting).owner is None
        lost = record(ledger, once)
        assert (lost.state, lost.finished) == (JobState.LOST, now)
        assert "JobLost" in (lost.error or "")
        assert [row.body for row in outbox(ledger, once)] == [f'["{once.id}", "lost"]']
        assert len(outbox(ledger, stopped)) == 1
        assert owners(ledger) == []
        assert ledger.recover(now, dead).lost == ()

    def test_what_the_ledger_says_of_an_end_can_be_read_back(self, ledger: Ledger) -> None:
        """`make_error` reads the error of a lost job; a cancelled one has none."""
        lost = new(owner=HERE.id, idempotent=False)
        stopped, repeated = new(owner=HERE.id, idempotent=False), new(owner=HERE.id)
        waiting = new()
        running = [start(lost), start(stopped), start(repeated)]
        ledger.write([lost, stopped, repeated, waiting, *running])
        ledger.cancel_running(stopped.id)
        ledger.cancel(waiting.id, 3.0)
        ledger.recover(101.0, dead)
        errors = {job.id: record(ledger, job).error for job in (lost, stopped, repeated, waiting)}
        assert [id for id, error in errors.items() if error is None] == [stopped.id, waiting.id]
        description = json.loads(errors[lost.id] or "")
        back = make_error(description)
        assert type(back) is JobLost
        assert back.args == (description["text"],)
        assert description["text"] == str(lost_error("resize", lost.id))
        assert back.__cause__ is None

    def test_a_job_whose_processes_die_in_a_row_is_lost(self, ledger: Ledger) -> None:
        """It may be what kills them. A retry by hand begins to count again."""
        job = new()
        ledger.write([job])
        for attempt in range(1, 6):
            assert record(ledger, job).state is JobState.QUEUED
            ledger.claim(HERE.id, 1, 3.0, TASKS)
            ledger.write([start(job, attempt=attempt)])
            ledger.recover(4.0, dead)
            found = record(ledger, job)
            if found.state is JobState.LOST:
                assert "died 4 times in a row" in (found.error or "")
                assert ledger.retry(job.id, 3.0)
                assert record(ledger, job).error is None
        assert Interruptions.of(record(ledger, job).error) == Interruptions(1, 1)

    def test_a_job_that_may_have_begun_says_so(self, ledger: Ledger) -> None:
        """Its start is not recorded when its process dies. An earlier error is kept."""
        claimed, once = new(owner=HERE.id), new(owner=HERE.id, idempotent=False)
        failed = new(owner=HERE.id)
        ledger.write([claimed, once, failed, start(failed)])
        ledger.write([end(failed, JobState.QUEUED, error='{"text": "own"}')])
        assert ids(ledger.claim(HERE.id, 1, 300.0, TASKS)) == [failed.id]
        ledger.recover(301.0, dead)
        assert Interruptions.of(record(ledger, claimed).error) == Interruptions(deaths=1)
        assert record(ledger, once).error is None
        assert record(ledger, failed).error == '{"text": "own"}'
        assert {record(ledger, job).owner for job in (claimed, once, failed)} == {None}

    def test_a_late_outcome_is_fenced(self, ledger: Ledger) -> None:
        """An owner that was wrongly taken for dead cannot end jobs that others have."""
        again, once = new(owner=HERE.id), new(owner=HERE.id, idempotent=False)
        ledger.write([again, once, start(again), start(once)])
        ledger.recover(101.0, dead)
        late = [end(again), end(once)]
        assert ledger.write(late).fenced == tuple(late)
        # Not even when it has the same job again.
        ledger.beat(HERE, until=200.0)
        ledger.claim(HERE.id, 5, 101.0, TASKS)
        ledger.write([start(again, attempt=2)])
        assert ledger.write(late).fenced == tuple(late)
        assert ledger.write([end(again, attempt=2)]) == NOTHING

    def test_an_owner_that_the_ledger_forgot_is_gone(self, ledger: Ledger) -> None:
        """Its jobs are recovered if the caller judges so, as those of the others."""
        job = new(owner="nobody")
        ledger.write([job, start(job, "nobody")])
        assert ledger.recover(50.0, only(HERE.id)).requeued == ()
        assert ledger.recover(50.0, only("nobody")).requeued == (job.id,)

    def test_one_of_two_recovers(self, ledger: Ledger) -> None:
        """Processes that recover at once do it once together."""
        jobs = [new(owner=HERE.id) for _ in range(10)]
        ledger.write([*jobs, *(start(job) for job in jobs)])
        barrier = threading.Barrier(3)

        def recover(_: int) -> int:
            barrier.wait(10)
            return len(ledger.recover(101.0, dead).requeued)

        with ThreadPoolExecutor(3) as threads:
            assert sorted(threads.map(recover, range(3))) == [0, 0, 10]

    def test_an_owner_leaves_in_good_order(self, ledger: Ledger) -> None:
        """Jobs that it has not begun lose their owner at once; running ones are recovered."""
        waiting, running = new(owner=HERE.id), new(owner=HERE.id)
        ledger.write([waiting, running, start(running)])
        ledger.leave(HERE.id)
        assert [owner.id for owner in owners(ledger)] == [THERE.id]
        assert record(ledger, waiting).owner is None
        assert state_of(ledger, running) is JobState.RUNNING
        assert ledger.recover(50.0, dead).requeued == (running.id,)

    # Purging.

    def test_old_jobs_are_forgotten_in_pieces(self, ledger: Ledger) -> None:
        """Jobs that ended before a time are deleted, the oldest first, with their callbacks."""
        old = [new(float(at), owner=HERE.id) for at in range(1, 6)]
        ends = [end(job, at=10.0) for job in old]
        young, active = new(2.5, owner=HERE.id), new(1.5, owner=HERE.id)
        done = new(1.0, owner=HERE.id, callback=URL)
        ledger.write([*old, young, active, done, *map(start, [*old, young, active, done])])
        ledger.write([*ends, end(young, at=20.0), end(done, at=10.0)])
        assert ledger.purge(10.0) == 0
        assert ledger.purge(11.0, limit=2) == 2
        assert ledger.purge(11.0) == 3
        assert ledger.purge(11.0) == 0
        assert ids(ledger.list()) == [young.id, active.id, done.id]
        with ledger.database.writing() as connection:
            connection.execute(text("UPDATE dewar_deliveries SET state = 'delivered'"))
        assert ledger.purge(11.0) == 1
        assert outbox(ledger) == []

    def test_a_purge_goes_on_where_it_was(self, ledger: Ledger) -> None:
        """Each sweep passes old jobs that have not ended once, and the next one finds all again."""
        jobs = [new(float(at), owner=HERE.id) for at in range(1, 10)]
        ledger.write([*jobs, *map(start, jobs)])
        ledger.write([end(job, at=10.0) for job in jobs[3:]])
        assert [ledger.purge(11.0, limit=2) for _ in range(4)] == [2, 2, 2, 0]
        ledger.write([end(job, at=10.0) for job in jobs[:3]])
        assert [ledger.purge(11.0, limit=2) for _ in range(3)] == [2, 1, 0]

    # Failing.

    def test_a_failing_database_is_a_ledger_error(self, ledger: Ledger) -> None:
        """Nothing has changed, the error has the reason, and the ledger works later."""
        job = new()
        with ledger.database.writing() as connection:
            connection.execute(text("ALTER TABLE dewar_jobs RENAME TO away"))
        for fail in (lambda: ledger.write([job]), lambda: ledger.get(job.id), ledger.counts):
            with pytest.raises(LedgerError, match="dewar_jobs") as caught:
                fail()
            assert caught.value.where == ledger.database.name
            assert caught.value.__cause__ is not None
        with ledger.database.writing() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO dewar_jobs"))
        assert ledger.write([job]) == NOTHING

    def test_refused_values_are_a_refusal(self, ledger: Ledger) -> None:
        """The database works, and takes the other jobs; to try again would not help."""
        bad: Any = None
        with pytest.raises(LedgerError) as caught:
            ledger.write([new(), replace(new(), task=bad)])
        assert caught.value.is_refusal
        assert ledger.write([new()]) == NOTHING

    def test_a_callers_mistake_changes_nothing(self, ledger: Ledger) -> None:
        """If an end cannot be described, it is rolled back."""
        job = new(owner=HERE.id, callback=URL)
        ledger.write([job, start(job)])
        with pytest.raises(ZeroDivisionError):
            ledger.write([end(job)], lambda _record: str(1 / 0))
        assert state_of(ledger, job) is JobState.RUNNING
        assert ledger.write([end(job)], tell) == NOTHING

    # Forking.

    def test_a_child_has_connections_of_its_own(self, ledger: Ledger) -> None:
        """Parent and child use the same object at once, and then the parent alone."""
        ledger.write([new()])
        before = ledger.changes()

        def use() -> int:
            ledger.write([new(2.0)])
            found = len(ledger.list())
            ledger.close()
            return found

        assert in_child(use) == 2
        ledger.write([new()])
        assert len(ledger.list()) == 3
        assert ledger.changes() != before

    # Speed.

    @pytest.mark.parametrize(
        ("index", "call"),
        [
            ("claimable", lambda ledger: ledger.outlook(TASKS)),
            ("claimable", lambda ledger: ledger.claim(HERE.id, 5, 50.0, TASKS)),
            ("queued", queued),
            ("stopping", lambda ledger: ledger.stop_requests(HERE.id)),
            ("active", lambda ledger: release_all(ledger, THERE.id)),
            ("active", lambda ledger: ledger.list(JobState.RUNNING)),
            ("ended_badly", lambda ledger: ledger.list(JobState.LOST)),
        ],
    )
    def test_what_has_ended_is_not_looked_at(
        self, ledger: Ledger, index: str, call: Callable[[Ledger], object]
    ) -> None:
        """Frequent queries use an index of jobs that have not ended."""
        jobs = [new(float(at), owner=HERE.id) for at in range(1000)]
        ledger.write([*jobs, *map(start, jobs), *map(end, jobs)])
        ledger.write([new() for _ in range(5)])
        with ledger.database.writing() as connection:
            connection.execute(text("ANALYZE"))
        for plan in explained(ledger, call):
            assert f"dewar_jobs_{index}" in plan
            assert "Seq Scan on dewar_jobs" not in plan
            assert "SCAN dewar_jobs'" not in plan

    # Opening.

    def test_a_ledger_is_found_again(self, ledger: Ledger, where: str) -> None:
        """A ledger that is opened later has the same jobs."""
        job = new()
        ledger.write([job])
        ledger.close()
        other = open_ledger(where)
        assert state_of(other, job) is JobState.QUEUED
        other.close()

    def test_a_later_ledger_is_refused(self, ledger: Ledger, where: str) -> None:
        """The tables of a newer Dewar are left unchanged."""
        with ledger.database.writing() as connection:
            connection.execute(text("UPDATE dewar_meta SET value = '99'"))
        with pytest.raises(TaskSetupError, match=r"newer Dewar .* 99, and this Dewar knows 1"):
            open_ledger(where)

    def test_many_open_at_once(self, where: str) -> None:
        """One lays out the tables, and none fails."""
        barrier = threading.Barrier(6)

        def use(_: int) -> str:
            barrier.wait(10)
            ledger = open_ledger(where)
            job = new()
            ledger.write([job])
            ledger.close()
            return job.id

        with ThreadPoolExecutor(6) as threads:
            written = set(threads.map(use, range(6)))
        ledger = open_ledger(where)
        assert set(ids(ledger.list())) == written
        ledger.close()

    def test_it_tells_what_it_did(self, ledger: Ledger) -> None:
        """The statistics are those of this process, and the repr has the place."""
        job, refused = new(owner=HERE.id), new(max_queue=0)
        ledger.write([job, refused, start(job), start(job)])
        ledger.write([new()])
        ledger.claim(THERE.id, 1, 10.0, TASKS)
        ledger.recover(101.0, dead)
        found = ledger.statistics()
        assert (found.batches, found.items, found.refused, found.fenced) == (2, 5, 1, 1)
        assert (found.claimed, found.recovered) == (1, 1)
        assert repr(ledger) == f"<Ledger {found.where}, 5 items in 2 batches>"
        assert found.where in repr(ledger.database)

    def test_an_outcome_needs_no_callback_to_be_described(self, ledger: Ledger) -> None:
        """Ends without a callback are not described, because nobody reads it."""
        job = new(owner=HERE.id)
        outcome = Outcome(id=job.id, owner=HERE.id, attempt=1, state=JobState.LOST, at=3.0)
        assert ledger.write([job, start(job), outcome], lambda _record: str(1 / 0)) == NOTHING
