"""The jobs that one process has taken."""

import threading
from math import inf
from types import SimpleNamespace
from typing import Any

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
