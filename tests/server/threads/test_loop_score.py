"""`LoopScore`: who had better lead."""

from hypothesis import given
from hypothesis import strategies as st

from dewar.server.threads.loop_score import LoopScore


def counted(loop: int, others: int = 0) -> LoopScore:
    """Return one that has seen so many requests for the loop, and then so many others."""
    loop_score = LoopScore()
    for _ in range(loop):
        loop_score.note_loop()
    loop_score.note_others(others)
    return loop_score


def test_the_loop_leads_after_many_requests_in_a_row() -> None:
    """Not after a few, and not where others come between."""
    assert not counted(31).prefers_loop
    assert counted(32).prefers_loop
    loop_score = LoopScore()
    for number in range(1000):
        if number % 8:
            loop_score.note_loop()
        else:
            loop_score.note_others()
    assert not loop_score.prefers_loop


def test_it_takes_several_others_to_change_that_again() -> None:
    """A single one among hundreds does not, however many there have been."""
    assert counted(1000, 7).prefers_loop
    assert not counted(1000, 8).prefers_loop
    assert not counted(32, 4).prefers_loop
    assert repr(counted(40)) == "<LoopScore loop, 40 of 64>"


def test_one_that_leads_no_more_begins_anew() -> None:
    """It has to be sure again."""
    loop_score = counted(64)
    loop_score.reset()
    assert (loop_score.prefers_loop, repr(loop_score)) == (False, "<LoopScore threads, 0 of 64>")


@given(st.lists(st.one_of(st.none(), st.integers(0, 100))))
def test_its_score_keeps_within_its_bounds(steps: list[int | None]) -> None:
    """Whatever comes; and where it is nought, threads lead."""
    loop_score = LoopScore()
    for others in steps:
        if others is None:
            loop_score.note_loop()
        else:
            loop_score.note_others(others)
        assert 0 <= loop_score._score <= 64
        assert loop_score._score or not loop_score.prefers_loop
