"""Pauses grow with the failures in a row."""

from hypothesis import given
from hypothesis import strategies as st

from dewar.support.backoff import Backoff, doubled


@given(st.floats(0.001, 10), st.integers(1, 10_000), st.floats(0.001, 1e6))
def test_a_doubled_pause_never_exceeds_the_longest(
    first: float, failures: int, longest: float
) -> None:
    """It grows with the failures, and stops at the longest, however many there are."""
    pause = doubled(first, failures, longest)
    assert 0 < pause <= longest
    assert pause <= doubled(first, failures + 1, longest)


def test_failures_in_a_row_are_counted_until_a_success() -> None:
    """Each failure moves the next attempt; a success makes it due at once."""
    backoff = Backoff(lambda failures: doubled(1.0, failures, 5.0))
    assert [backoff.note_failure(100.0) for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]
    assert (backoff.until, backoff.failures) == (105.0, 4)
    backoff.note_success()
    assert (backoff.until, backoff.failures) == (0.0, 0)
    assert backoff.note_failure(200.0) == 1.0


def test_holding_counts_no_failure() -> None:
    """A wait for the system is no failure of the attempt."""
    backoff = Backoff(lambda failures: doubled(1.0, failures, 5.0))
    backoff.hold(10.0, 3.0)
    assert (backoff.until, backoff.failures) == (13.0, 0)
    assert "0 failures" in repr(backoff)
