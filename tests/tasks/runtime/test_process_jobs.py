"""Which new jobs a process claims at once."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.tasks.ledger.ledgertools import HERE, new

from dewar.tasks.ledger.records import NewJob
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.stored_job import JobFutures


def jobs_of(**given: Any) -> ProcessJobs:
    nothing: Any = SimpleNamespace()
    fields = {
        "ledger": nothing,
        "owner": HERE,
        "claimed": ClaimedJobs(1, 4),
        "futures": JobFutures(),
        "describe": str,
        "clock": lambda: 10.0,
        "monotonic": lambda: 10.0,
    }
    return ProcessJobs(**{**fields, **given})


def owners_of(jobs: ProcessJobs, job: NewJob) -> set[str | None]:
    """Return the owners that a job gets alone and in a batch."""
    (one,) = jobs.all_claimed_at_once([job])
    return {jobs.claimed_at_once(job).owner, one.owner}


def test_a_job_that_is_due_is_claimed_while_there_is_room() -> None:
    """What is for later is not, and no job is beyond the limit."""
    jobs = jobs_of()
    jobs.claimed.may_have_jobs = False
    assert owners_of(jobs, new()) == {HERE.id}
    assert owners_of(jobs, new(due=11.0)) == {None}
    many = jobs.all_claimed_at_once([new() for _ in range(5)])
    assert [job.owner for job in many] == [HERE.id] * 2 + [None] * 3
    assert jobs.all_claimed_at_once([]) == []


def test_a_job_with_limits_is_claimed_in_the_ledger() -> None:
    """Only there they hold over all processes."""
    assert owners_of(jobs_of(), new(limited=True)) == {None}


@pytest.mark.parametrize(
    ("queues", "owner"), [(None, HERE.id), (["mail"], HERE.id), (["default"], None)]
)
def test_a_job_in_another_queue_is_left_to_others(
    queues: list[str] | None, owner: str | None
) -> None:
    """A process without queues serves all."""
    assert owners_of(jobs_of(queues=queues), new(queue="mail")) == {owner}


def test_a_job_does_not_pass_those_of_a_higher_priority() -> None:
    """Unless nothing waits in the ledger; one of the same or a higher priority may."""
    jobs = jobs_of()
    jobs.claimed.note_left(5)
    for priority, owner in ((4, None), (5, HERE.id), (6, HERE.id)):
        assert owners_of(jobs, new(priority=priority)) == {owner}
    jobs.claimed.begin_look()
    jobs.claimed.note_claimed([], room=3)
    assert owners_of(jobs, replace(new(), priority=-100)) == {HERE.id}


def test_half_of_the_room_is_for_jobs_that_wait() -> None:
    """While the ledger may have some."""
    jobs = jobs_of(claimed=ClaimedJobs(2, 4))
    jobs.claimed.attempts.update(dict.fromkeys("ab"))
    assert owners_of(jobs, new()) == {None}
    many = [new() for _ in range(4)]
    assert [job.owner for job in jobs.all_claimed_at_once(many)] == [None] * 4
    jobs.claimed.may_have_jobs = False
    assert owners_of(jobs, new()) == {HERE.id}
    assert [job.owner for job in jobs.all_claimed_at_once(many)] == [HERE.id] * 2 + [None] * 2


def test_a_job_that_is_left_leads_to_a_look_at_once() -> None:
    """Unless one is to come; in another queue, only to one for its end after a quiet time."""
    now = [10.0]
    jobs = jobs_of(queues=["mail"], monotonic=lambda: now[0])
    assert jobs.note_left(new(queue="mail"))
    assert not jobs.note_left(new(queue="mail"))
    jobs.claimed.begin_look()
    jobs.claimed.note_claimed([], room=4)
    assert not jobs.note_left(new(queue="other"))
    assert not jobs.claimed.may_have_jobs
    assert jobs.note_left(new(queue="mail"))
    jobs.claimed.begin_look()
    jobs.claimed.note_claimed([], room=4)
    now[0] += 1.0
    assert jobs.note_left(new(queue="other"))
    assert not jobs.claimed.may_have_jobs


def test_during_a_look_no_new_job_passes_those_that_wait() -> None:
    """The jobs that the look is for are not claimed yet, and half of the room is theirs."""
    jobs = jobs_of(claimed=ClaimedJobs(2, 4))
    jobs.claimed.note_left(5)
    jobs.claimed.begin_look()
    assert owners_of(jobs, new(priority=4)) == {None}
    assert jobs.claimed.room_at_once == 2
    jobs.claimed.note_claimed([], room=4)
    assert owners_of(jobs, new(priority=4)) == {HERE.id}
    assert jobs.claimed.room_at_once == 4
