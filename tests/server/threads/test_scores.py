"""`LatencyScore` and `LoopScore`: whether another thread should lead."""

from hypothesis import given
from hypothesis import strategies as st

from dewar.server.threads.scores import LatencyScore, LoopScore


def test_one_slow_request_changes_nothing() -> None:
    """A rare slow one is left to the watchdog."""
    latency = LatencyScore()
    latency.note_slow()
    assert not latency.is_slow


def test_slow_requests_in_short_order_make_it_slow_and_quick_ones_undo_it() -> None:
    """Both changes of mind come within a bounded number of requests."""
    latency = LatencyScore()
    for _ in range(1000):
        latency.note_slow()
    assert latency.is_slow
    quick = 0
    while latency.is_slow:
        latency.note_quick()
        quick += 1
    assert quick <= 200
    assert "quick" in repr(latency)


def test_one_slow_request_in_fifty_is_not_worth_handing_over() -> None:
    """Handing over would cost the other forty-nine more than it saves."""
    latency = LatencyScore()
    for _ in range(200):
        latency.note_slow()
        latency.note_quick(49)
    assert not latency.is_slow


def test_one_slow_request_in_ten_is() -> None:
    """The score drifts up from one in about thirty."""
    latency = LatencyScore()
    for _ in range(200):
        latency.note_slow()
        latency.note_quick(9)
    assert latency.is_slow


def counted(loop: int, others: int = 0) -> LoopScore:
    """Return one that has seen so many requests for the loop, and then so many others."""
    loop_score = LoopScore()
    for _ in range(loop):
        loop_score.note_loop()
    loop_score.note_others(others)
    return loop_score


def test_the_loop_leads_after_many_requests_in_a_row() -> None:
    """Not after a few, and not if others come between."""
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


def test_one_that_leads_no_more_starts_again() -> None:
    """It has to be sure again."""
    loop_score = counted(64)
    loop_score.reset()
    assert (loop_score.prefers_loop, repr(loop_score)) == (False, "<LoopScore threads, 0 of 64>")


@given(st.lists(st.one_of(st.none(), st.integers(0, 100))))
def test_its_score_keeps_within_its_bounds(steps: list[int | None]) -> None:
    """Whatever comes; and at zero, threads lead."""
    loop_score = LoopScore()
    for others in steps:
        if others is None:
            loop_score.note_loop()
        else:
            loop_score.note_others(others)
        assert 0 <= loop_score._score <= 64
        assert loop_score._score or not loop_score.prefers_loop
