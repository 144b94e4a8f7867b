"""The jobs that one process has taken."""

import threading
from math import inf
from types import SimpleNamespace
from typing import Any

from dewar.tasks.ledger.claiming import Outlook
from dewar.tasks.runtime.claimed import ClaimedJobs


def attempt(id: str) -> Any:
    return SimpleNamespace(record=SimpleNamespace(id=id))


def test_an_attempt_is_taken_once() -> None:
    """Who comes second finds nothing."""
    claimed = ClaimedJobs(workers=2, prefetch=100)
    held = attempt("a")
    claimed.attempts["a"] = held
    assert claimed.find("a") is held
    assert claimed.take("a") is held
    assert claimed.take("a") is None
    assert claimed.find("a") is None


def test_it_holds_twice_as_many_as_run_until_it_knows_more() -> None:
    """With four workers eight are taken; half of them left, it is time to take more."""
    claimed = ClaimedJobs(workers=4, prefetch=100)
    assert claimed.limit == claimed.room == 8
    for number in range(8):
        claimed.attempts[str(number)] = attempt(str(number))
    assert claimed.room == 0
    assert not claimed.is_running_low
    for number in range(4):
        claimed.take(str(number))
    assert claimed.is_running_low
    assert claimed.room == 4


def test_quick_jobs_are_taken_in_bulk_and_slow_ones_are_not() -> None:
    """What ended within the last second says how many to take, up to the most."""
    claimed = ClaimedJobs(workers=2, prefetch=500)
    for tick in range(10):
        claimed.note_ended(250, 0.5 * tick)
    assert 200 < claimed.limit <= 500
    for tick in range(10, 30):
        claimed.note_ended(1, 0.5 * tick)
    assert claimed.limit == 4
    for tick in range(30, 60):
        claimed.note_ended(10_000, 0.5 * tick)
    assert claimed.limit == 500


def running_attempt(id: str) -> Any:
    return SimpleNamespace(
        record=SimpleNamespace(id=id), running=lambda: True, cancel=lambda: False
    )


def waiting_attempt(id: str) -> Any:
    return SimpleNamespace(
        record=SimpleNamespace(id=id), running=lambda: False, cancel=lambda: True
    )


def test_what_waits_for_long_jobs_is_dropped() -> None:
    """Once the same ones have run between two looks, on all workers; no more are claimed then."""
    claimed = ClaimedJobs(workers=2, prefetch=100)
    claimed.attempts |= {"a": running_attempt("a"), "c": waiting_attempt("c")}
    assert [claimed.drop_stalled() for _ in range(2)] == [[], []]  # a worker is free
    claimed.attempts["b"] = running_attempt("b")
    assert claimed.drop_stalled() == []
    del claimed.attempts["a"]
    claimed.attempts["d"] = running_attempt("d")
    assert claimed.drop_stalled() == []  # one has ended, and another has begun
    claimed.may_have_jobs = False
    assert claimed.drop_stalled() == ["c"]
    assert (claimed.room, claimed.may_have_jobs) == (0, True)
    assert [claimed.drop_stalled() for _ in range(2)] == [[], []]  # nothing waits
    claimed.take("b")
    assert claimed.room == 1


def test_a_far_engine_gets_the_most_at_once() -> None:
    """Nobody here knows how many workers there are."""
    assert ClaimedJobs(workers=None, prefetch=300).room == 300


def test_one_that_is_closed_claims_nothing_more() -> None:
    """Neither after a pause that began before, nor after one that begins later."""
    claimed = ClaimedJobs(workers=1, prefetch=10)
    assert claimed.claims_from == 0
    claimed.pause(5.0)
    assert claimed.claims_from == 5
    claimed.close()
    claimed.pause(7.0)
    assert claimed.claims_from == inf
    assert ClaimedJobs(workers=1, prefetch=10, runs_jobs=False).claims_from == inf


def test_who_waits_for_the_last_job_is_told() -> None:
    """At once when nothing is held, and not while something is."""
    claimed = ClaimedJobs(workers=1, prefetch=10)
    assert claimed.wait_empty(0)
    claimed.attempts["a"] = attempt("a")
    assert not claimed.wait_empty(0)
    waiting = threading.Thread(target=claimed.wait_empty, args=(30,))
    waiting.start()
    claimed.take("a")
    waiting.join(30)
    assert not waiting.is_alive()


def test_a_blocked_job_is_looked_for_when_another_has_ended() -> None:
    """Its task has a limit, and nothing else says when it may run."""
    claimed = ClaimedJobs(workers=2, prefetch=100)
    claimed.begin_look()
    claimed.note_claimed([], room=4)
    claimed.note_outlook(Outlook(next_due=inf, is_blocked=True))
    assert not claimed.wants_jobs
    claimed.note_ended(1, 1.0)
    assert claimed.wants_jobs
    claimed.begin_look()
    claimed.note_claimed([0], room=4)
    claimed.note_outlook(Outlook(next_due=7.0, is_blocked=False))
    claimed.note_ended(1, 2.0)
    assert (claimed.wants_jobs, claimed.next_due) == (False, 7.0)


def test_the_highest_priority_that_may_wait_is_known() -> None:
    """That of what was claimed last, and of what was left since."""
    claimed = ClaimedJobs(workers=2, prefetch=100)
    claimed.note_claimed([5, -5], room=2)
    assert (claimed.may_have_jobs, claimed.waiting_priority) == (True, 5)
    claimed.note_left(7)
    assert claimed.waiting_priority == 7
    claimed.begin_look()
    claimed.note_claimed([-5, -5], room=2)
    assert claimed.waiting_priority == -5


def test_jobs_that_have_ended_are_no_backlog() -> None:
    """Though they are here until that is written."""
    claimed = ClaimedJobs(workers=2, prefetch=100)
    for id in "abc":
        claimed.attempts[id] = attempt(id)
    assert claimed.has_backlog
    claimed.note_finished("a")
    assert not claimed.has_backlog
    claimed.attempts["d"] = attempt("d")
    assert claimed.has_backlog
    claimed.take("a")
    assert claimed.has_backlog
    claimed.take("b")
    assert not claimed.has_backlog


def test_what_is_noted_during_a_look_stays_noted() -> None:
    """Another thread writes a job that the look may have missed: one to claim, or one for later."""
    claimed = ClaimedJobs(workers=2, prefetch=100)
    claimed.begin_look()
    assert claimed.note_left(7)
    assert claimed.note_queued(5.0)
    claimed.note_claimed([3], room=4)
    claimed.note_outlook(Outlook(next_due=9.0, is_blocked=False))
    assert (claimed.may_have_jobs, claimed.waiting_priority) == (True, 7)
    assert claimed.next_due == 5.0


def test_a_job_for_later_is_one_to_claim_at_its_time() -> None:
    """It is news if it is the first one."""
    claimed = ClaimedJobs(workers=2, prefetch=100)
    claimed.begin_look()
    claimed.note_claimed([], room=4)
    assert claimed.note_queued(5.0)
    assert not claimed.note_queued(6.0)
    claimed.note_time(4.9)
    assert not claimed.wants_jobs
    claimed.note_time(5.0)
    assert claimed.wants_jobs
