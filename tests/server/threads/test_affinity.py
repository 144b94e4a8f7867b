"""`Affinity`: who had better lead."""

from hypothesis import given
from hypothesis import strategies as st

from dewar.server.threads.affinity import Affinity


def counted(loop: int, others: int = 0) -> Affinity:
    """Return one that has seen so many requests for the loop, and then so many others."""
    affinity = Affinity()
    for _ in range(loop):
        affinity.note_loop()
    affinity.note_others(others)
    return affinity


def test_the_loop_leads_after_many_requests_in_a_row() -> None:
    """Not after a few, and not where others come between."""
    assert not counted(31).is_loop
    assert counted(32).is_loop
    affinity = Affinity()
    for number in range(1000):
        if number % 8:
            affinity.note_loop()
        else:
            affinity.note_others()
    assert not affinity.is_loop


def test_it_takes_several_others_to_change_that_again() -> None:
    """A single one among hundreds does not, however many there have been."""
    assert counted(1000, 7).is_loop
    assert not counted(1000, 8).is_loop
    assert not counted(32, 4).is_loop
    assert repr(counted(40)) == "<Affinity loop, 40 of 64>"


def test_one_that_leads_no_more_begins_anew() -> None:
    """It has to be sure again."""
    affinity = counted(64)
    affinity.reset()
    assert (affinity.is_loop, repr(affinity)) == (False, "<Affinity threads, 0 of 64>")


@given(st.lists(st.one_of(st.none(), st.integers(0, 100))))
def test_its_score_keeps_within_its_bounds(steps: list[int | None]) -> None:
    """Whatever comes; and where it is nought, threads lead."""
    affinity = Affinity()
    for others in steps:
        if others is None:
            affinity.note_loop()
        else:
            affinity.note_others(others)
        assert 0 <= affinity._score <= 64
        assert affinity._score or not affinity.is_loop
