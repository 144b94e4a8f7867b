"""The jobs that one process has taken."""

from types import SimpleNamespace
from typing import Any

from dewar.tasks.hand import Hand


def attempt(id: str) -> Any:
    return SimpleNamespace(record=SimpleNamespace(id=id))


def test_an_attempt_is_taken_once() -> None:
    """Who comes second finds nothing."""
    hand = Hand(workers=2, most=100)
    held = attempt("a")
    hand.put(held)
    assert hand.find("a") is held
    assert hand.take("a") is held
    assert hand.take("a") is None
    assert hand.find("a") is None


def test_it_holds_twice_as_many_as_run_until_it_knows_more() -> None:
    """With four workers eight are taken; half of them left, it is time to take more."""
    hand = Hand(workers=4, most=100)
    assert hand.limit == hand.room == 8
    for number in range(8):
        hand.put(attempt(str(number)))
    assert hand.room == 0
    assert not hand.is_low
    for number in range(4):
        hand.take(str(number))
    assert hand.is_low
    assert hand.room == 4


def test_quick_jobs_are_taken_in_bulk_and_slow_ones_are_not() -> None:
    """What ended within the last second says how many to take, up to the most."""
    hand = Hand(workers=2, most=500)
    for tick in range(10):
        hand.note_ended(250, 0.5 * tick)
    assert 200 < hand.limit <= 500
    for tick in range(10, 30):
        hand.note_ended(1, 0.5 * tick)
    assert hand.limit == 4
    for tick in range(30, 60):
        hand.note_ended(10_000, 0.5 * tick)
    assert hand.limit == 500


def test_a_far_engine_gets_the_most_at_once() -> None:
    """Nobody here knows how many workers there are."""
    assert Hand(workers=None, most=300).room == 300
