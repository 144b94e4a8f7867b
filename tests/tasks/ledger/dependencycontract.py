"""What every ledger does with jobs that wait for other jobs."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text
from tests.tasks.ledger.ledgertools import (
    HERE,
    THERE,
    URL,
    LedgerFixtures,
    end,
    ids,
    new,
    only,
    outbox,
    queued,
    record,
    start,
    state_of,
)
from tests.tasks.ledger.older import END, OlderProcess

from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.outbox_insert import describe_record
from dewar.tasks.ledger.records import JobState, NewJob, Settled
from dewar.tasks.placement import OnDuplicate

TASKS = ["resize", "other"]
DONE, FAILED, QUEUED, LOST = JobState.DONE, JobState.FAILED, JobState.QUEUED, JobState.LOST
CANCELLED = JobState.CANCELLED


def after(*jobs: NewJob, **given: Any) -> NewJob:
    """Return a job that waits for others."""
    return new(after=[job.id for job in jobs], **given)


def run(ledger: Ledger, job: NewJob, state: JobState = DONE, attempt: int = 1) -> None:
    """Claim everything, and end a job."""
    ledger.claim(HERE.id, 100, 50.0, TASKS)
    written = ledger.write([start(job, attempt=attempt), end(job, state, attempt=attempt)])
    assert not written.fenced


def claimed(ledger: Ledger, owner: str = HERE.id) -> list[str]:
    return ids(ledger.claim(owner, 100, 50.0, TASKS))


def error_of(ledger: Ledger, job: NewJob) -> str:
    found = record(ledger, job).error
    return "" if found is None else json.loads(found)["text"]


class DependencyContract(LedgerFixtures):
    """Inherited by the tests of each database, which say where it is."""

    #: How often what may only fail now and then is tried.
    ROUNDS = 1

    def test_a_job_is_claimed_after_those_before_it(self, ledger: Ledger) -> None:
        """When the last of them has ended well, and not earlier."""
        first, second = new(), new()
        last = after(first, second)
        ledger.write([first, second])
        ledger.write([last])
        assert set(claimed(ledger)) == {first.id, second.id}
        assert record(ledger, last).is_blocked
        assert (record(ledger, last).due, queued(ledger)) == (1.0, 2)
        run(ledger, first)
        assert claimed(ledger) == []
        assert ledger.outlook(TASKS).next_due > 253402300799
        run(ledger, second)
        assert not record(ledger, last).is_blocked
        assert claimed(ledger) == [last.id]
        assert record(ledger, last).due == 1.0

    def test_all_may_be_in_one_batch(self, ledger: Ledger) -> None:
        """A job and one that waits for it are accepted together, the first claimed at once."""
        first = new(owner=HERE.id)
        last = after(first, priority=3, queue="mail")
        ledger.write([first, last, start(first), end(first)])
        assert state_of(ledger, first) is DONE
        assert claimed(ledger) == [last.id]

    @pytest.mark.parametrize("state", [FAILED, LOST, CANCELLED])
    def test_a_failure_stops_what_waits(self, ledger: Ledger, state: JobState) -> None:
        """And what waits for that, with an error that names the job that failed."""
        first = new()
        second = after(first)
        third, other = after(second, callback=URL), new()
        ledger.write([first, second, third, other])
        told: list[Settled] = []
        ledger.on_settled = told.append
        run(ledger, first, state)
        assert [state_of(ledger, job) for job in (second, third, other)] == [
            CANCELLED,
            CANCELLED,
            QUEUED,
        ]
        assert first.id in error_of(ledger, third)
        assert state.value in error_of(ledger, second)
        assert [row.job_id for row in outbox(ledger)] == [third.id]
        assert [set(one.stopped) for one in told] == [{second.id, third.id}]
        assert record(ledger, third).finished == 3.0

    def test_a_job_that_continues_runs_after_a_failure(self, ledger: Ledger) -> None:
        """Also if the job before it was stopped by another one."""
        first = new()
        second, third = after(first), after(first, continues=True)
        fourth = after(second, third, continues=True)
        ledger.write([first, second, third, fourth])
        run(ledger, first, FAILED)
        assert state_of(ledger, second) is CANCELLED
        assert claimed(ledger) == [third.id]
        run(ledger, third)
        assert claimed(ledger) == [fourth.id]

    def test_jobs_that_have_ended_are_not_waited_for(self, ledger: Ledger) -> None:
        """A job after them runs at once, or is cancelled at once; so after one that was purged."""
        done, failed = new(), new()
        ledger.write([done, failed])
        run(ledger, done)
        run(ledger, failed, FAILED)
        ready, doomed, lonely = after(done), after(done, failed), after(new())
        follower, brave = after(doomed), after(new(), failed, continues=True)
        ledger.write([ready, doomed, follower, lonely, brave])
        assert set(claimed(ledger)) == {ready.id, brave.id}
        assert [state_of(ledger, job) for job in (doomed, follower, lonely)] == [CANCELLED] * 3
        assert failed.id in error_of(ledger, follower)

    def test_a_job_that_is_run_again_has_not_ended(self, ledger: Ledger) -> None:
        """Neither by its retries nor after its process died."""
        first = new()
        last = after(first)
        ledger.write([first, last])
        run(ledger, first, QUEUED)
        ledger.claim(HERE.id, 10, 50.0, TASKS)
        ledger.write([start(first, attempt=2)])
        assert ledger.recover(60.0, only(HERE.id)).requeued == (first.id,)
        assert record(ledger, last).is_blocked
        ledger.claim(THERE.id, 10, 70.0, TASKS)
        ledger.write([start(first, THERE.id, 3), end(first, attempt=3, owner=THERE.id)])
        assert claimed(ledger, THERE.id) == [last.id]

    def test_other_ends_count_too(self, ledger: Ledger) -> None:
        """A cancellation, a loss with the process, and a replacement."""
        waiting, lost = new(), new(idempotent=False)
        unique = new(unique_key="k")
        followers = [after(waiting), after(lost), after(unique)]
        ledger.write([waiting, unique, *followers[:1], *followers[2:]])
        assert ledger.cancel(waiting.id, 5.0)
        assert (state_of(ledger, followers[0]), record(ledger, followers[0]).finished) == (
            CANCELLED,
            5.0,
        )
        again = new(unique_key="k", on_duplicate=OnDuplicate.REPLACE)
        assert ledger.write([again]).replaced == (unique.id,)
        assert state_of(ledger, followers[2]) is CANCELLED
        ledger.write([lost, followers[1]])
        ledger.claim(HERE.id, 10, 50.0, TASKS)
        ledger.write([start(lost)])
        assert ledger.recover(60.0, only(HERE.id)).settled.stopped == (followers[1].id,)
        assert state_of(ledger, followers[1]) is CANCELLED

    def test_a_waiting_job_can_be_cancelled(self, ledger: Ledger) -> None:
        """It stays so when those before it end; what waits for it is stopped."""
        first = new()
        second = after(first)
        third = after(second)
        ledger.write([first, second, third])
        assert ledger.cancel(second.id, 5.0)
        assert state_of(ledger, third) is CANCELLED
        run(ledger, first)
        assert (state_of(ledger, second), claimed(ledger)) == (CANCELLED, [])

    def test_what_has_lost_its_key_does_not_wait_again(self, ledger: Ledger) -> None:
        """To another job, or to an older one that waits again, too. The retry goes on."""
        first = new()
        followers = [after(first, unique_key=key) for key in ("taken", "free", "free")]
        ledger.write([first])
        run(ledger, first, FAILED)
        for follower in followers:
            ledger.write([follower])
        ledger.write([new(unique_key="taken")])
        assert [state_of(ledger, one) for one in followers] == [CANCELLED] * 3
        assert ledger.retry(first.id, 60.0)
        taken, *free = followers
        assert state_of(ledger, taken) is CANCELLED
        assert sorted(state_of(ledger, one).value for one in free) == ["cancelled", "queued"]

    def test_a_retry_by_hand_has_the_others_wait_again(self, ledger: Ledger) -> None:
        """All that the job has stopped, unless another one stops it still."""
        first, other = new(), new()
        second = after(first)
        third = after(second, other)
        ledger.write([first, other, second, third])
        run(ledger, first, FAILED)
        assert ledger.retry(first.id, 10.0)
        assert [record(ledger, job).is_blocked for job in (second, third)] == [True, True]
        assert (state_of(ledger, third), record(ledger, third).error) == (QUEUED, None)
        run(ledger, other, FAILED)
        assert (state_of(ledger, second), state_of(ledger, third)) == (QUEUED, CANCELLED)
        run(ledger, first, DONE, attempt=2)
        run(ledger, second)
        assert claimed(ledger) == []
        assert ledger.retry(other.id, 11.0)
        run(ledger, other, DONE, attempt=2)
        assert claimed(ledger) == [third.id]

    def test_two_failures_have_to_be_retried(self, ledger: Ledger) -> None:
        """A job that two have stopped waits again after the second retry."""
        first, other = new(), new()
        last = after(first, other)
        ledger.write([first, other, last])
        run(ledger, first, FAILED)
        run(ledger, other, FAILED)
        ledger.retry(first.id, 10.0)
        assert state_of(ledger, last) is CANCELLED
        ledger.retry(other.id, 10.0)
        assert record(ledger, last).is_blocked

    def test_a_job_that_was_cancelled_by_hand_waits_again_when_retried(
        self, ledger: Ledger
    ) -> None:
        """For what has not ended; a retry of the one before leaves it as it is."""
        first = new()
        last = after(first)
        ledger.write([first, last])
        ledger.cancel(last.id, 5.0)
        assert ledger.retry(last.id, 6.0)
        assert record(ledger, last).is_blocked
        ledger.cancel(last.id, 7.0)
        run(ledger, first, FAILED)
        ledger.retry(first.id, 8.0)
        assert state_of(ledger, last) is CANCELLED

    def test_what_others_wait_for_is_kept(self, ledger: Ledger) -> None:
        """Until they have ended, however old it is; then both go, with what was noted of them."""
        first = new()
        last = after(first)
        ledger.write([first, last])
        run(ledger, first)
        assert ledger.purge(1000.0) == 0
        run(ledger, last)
        assert ledger.purge(1000.0) == 2
        with ledger.database.reading() as connection:
            assert connection.execute(text("SELECT * FROM dewar_dependencies")).all() == []

    def test_an_older_process_neither_claims_nor_forgets(self, where: str, ledger: Ledger) -> None:
        """A job after others is never its own; what it ends is found in the next look."""
        older = OlderProcess(where)
        first, bad = new(), new()
        last, doomed = after(first), after(bad)
        ledger.write([first, bad, last, doomed])
        assert older.claim(1e10) == {first.id, bad.id}
        older.run(END, id=first.id, now=3.0)
        older.run("UPDATE dewar_jobs SET state='failed', finished=3.0 WHERE id = :id", id=bad.id)
        assert claimed(ledger) == []
        ledger.workflows.settle_missed(4.0, describe_record)
        assert older.claim(1e10) == set()
        assert claimed(ledger) == [last.id]
        assert state_of(ledger, doomed) is CANCELLED
        older.close()

    def test_a_look_for_missed_ends_is_limited(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each goes on where the one before has ended, so every dependency has its turn."""
        monkeypatch.setattr("dewar.tasks.ledger.dependencies.MissedEnds.MOST", 2)
        firsts = [new() for _ in range(5)]
        lasts = [after(job) for job in firsts]
        ledger.write([*firsts, *lasts])
        with ledger.database.writing() as connection:
            connection.execute(
                text("UPDATE dewar_jobs SET state='done', finished=1, followed=0 WHERE id = :id"),
                [{"id": job.id} for job in firsts],
            )
        for _ in range(3):
            ledger.workflows.settle_missed(4.0, describe_record)
        assert set(claimed(ledger)) == {job.id for job in lasts}

    def test_two_processes_end_the_last_two_at_once(self, ledger: Ledger, where: str) -> None:
        """The job after both is released once, and by one of them."""
        other = open_ledger(where)
        for _ in range(self.ROUNDS):
            first, second = new(owner=HERE.id), new(owner=THERE.id)
            last = after(first, second)
            ledger.write([first, second, last, start(first), start(second, THERE.id)])
            told: list[Settled] = []
            ledger.on_settled = other.on_settled = told.append
            ends = [(ledger, end(first)), (other, end(second, owner=THERE.id))]
            _at_once([lambda one=one: one[0].write([one[1]]) for one in ends])
            assert told == [Settled((last.id,), ())]
            assert claimed(ledger) == [last.id]
            ledger.cancel(last.id, 5.0)
        other.close()

    def test_a_job_is_added_while_the_one_before_ends(self, ledger: Ledger, where: str) -> None:
        """Whichever comes first, it is released, or stopped if that one fails."""
        other = open_ledger(where)
        for number in range(self.ROUNDS):
            state = FAILED if number % 2 else DONE
            first = new(owner=HERE.id)
            second = after(first)
            third = after(second)
            ledger.write([first, second, start(first)])
            _at_once(
                [
                    lambda first=first, state=state: ledger.write([end(first, state)]),
                    lambda third=third: other.write([third]),
                    lambda first=first: other.write([after(first, task="other")]),
                ]
            )
            if state is FAILED:
                assert state_of(ledger, third) is CANCELLED
                assert first.id in error_of(ledger, third)
                assert claimed(ledger) == []
            else:
                assert record(ledger, third).is_blocked
                assert len(claimed(ledger)) == 2
                run(ledger, second)
                assert claimed(ledger) == [third.id]
        other.close()

    def test_many_jobs_wait_without_a_price(self, ledger: Ledger) -> None:
        """A thousand before one, and one before a thousand, are few statements."""
        firsts = [new(owner=HERE.id) for _ in range(1000)]
        middle = after(*firsts)
        lasts = [after(middle) for _ in range(1000)]
        ledger.write([*firsts, middle, *lasts])
        ledger.write([start(job) for job in firsts])
        ledger.write([end(job) for job in firsts])
        assert claimed(ledger) == [middle.id]
        run(ledger, middle)
        assert len(ledger.claim(HERE.id, 2000, 50.0, TASKS)) == 1000

    def test_a_long_chain_is_stopped_together(self, ledger: Ledger) -> None:
        """All of it in a few statements, with the one that failed as the reason."""
        jobs = [new(owner=HERE.id)]
        for _ in range(500):
            jobs.append(after(jobs[-1]))
        ledger.write([*jobs, start(jobs[0])])
        ledger.write([end(jobs[0], FAILED)])
        assert ledger.counts()[CANCELLED] == 500
        assert jobs[0].id in error_of(ledger, jobs[-1])

    def test_a_workflow_is_accepted_together_or_not_at_all(self, ledger: Ledger) -> None:
        """A job that is refused, or a duplicate, leaves nothing of it behind."""
        ledger.write([new(unique_key="k")])
        full = [new(workflow="w_1"), new(workflow="w_1", max_queue=0)]
        double = [new(workflow="w_1"), new(workflow="w_1", unique_key="k")]
        for jobs in (full, double):
            written = ledger.workflows.accept("w_1", "[]", jobs, describe_record)
            assert written.refused or written.duplicates
        assert ledger.workflows.find("w_1") is None
        assert sum(ledger.counts().values()) == 1

    def test_a_workflow_tells_how_far_it_is(self, ledger: Ledger) -> None:
        """Its state, the numbers of its jobs, its share, and what its last job returned."""
        first = new(workflow="w_1")
        last = after(first, workflow="w_1")
        ends = json.dumps(last.id)
        ledger.workflows.accept("w_1", ends, [first, last], describe_record)
        # It seemed to fail, and is written again.
        ledger.workflows.accept("w_1", ends, [first, last], describe_record)

        def told() -> tuple[JobState, float, bool]:
            found = ledger.workflows.find("w_1")
            assert found is not None
            return found.state, found.fraction, found.has_result

        assert told() == (QUEUED, 0.0, False)
        ledger.claim(HERE.id, 10, 50.0, TASKS)
        ledger.write([start(first)])
        assert told() == (JobState.RUNNING, 0.0, False)
        ledger.write([end(first)])
        assert told() == (JobState.RUNNING, 0.5, False)
        run(ledger, last)
        assert told() == (DONE, 1.0, True)
        assert [job.id for job in ledger.workflows.jobs("w_1")] == sorted([first.id, last.id])

    def test_a_workflow_is_cancelled_as_a_whole(self, ledger: Ledger) -> None:
        """What waits, claimed or not, is cancelled; so is what waits for it elsewhere."""
        first, second = new(workflow="w_1"), new(workflow="w_1")
        last = after(first, second, workflow="w_1")
        stranger = after(last)
        ledger.workflows.accept("w_1", json.dumps(last.id), [first, second, last], describe_record)
        ledger.write([stranger])
        ledger.claim(HERE.id, 10, 50.0, TASKS)
        ledger.write([start(first)])
        done = ledger.workflows.cancel("w_1", 5.0, describe_record)
        assert (set(done.ids), list(done.owners)) == ({second.id, last.id}, [HERE.id])
        assert state_of(ledger, stranger) is CANCELLED
        assert ledger.workflows.running("w_1") == [first.id]
        ledger.write([end(first)])
        found = ledger.workflows.find("w_1")
        assert found is not None
        assert (found.state, found.finished) == (CANCELLED, 5.0)

    def test_a_workflow_is_kept_as_long_as_its_last_job(self, ledger: Ledger) -> None:
        """Then all of it is deleted."""
        first = new(workflow="w_1")
        last = after(first, workflow="w_1")
        ledger.workflows.accept("w_1", json.dumps(last.id), [first, last], describe_record)
        run(ledger, first)
        ledger.claim(HERE.id, 10, 50.0, TASKS)
        ledger.write([start(last), end(last, at=500.0)])
        assert ledger.purge(400.0) == 0
        assert ledger.purge(501.0) == 2
        assert ledger.workflows.find("w_1") is None


def _at_once(functions: list[Callable[[], object]]) -> None:
    barrier = Barrier(len(functions))

    def call(function: Callable[[], object]) -> None:
        barrier.wait(20)
        function()

    with ThreadPoolExecutor(len(functions)) as threads:
        list(threads.map(call, functions))
