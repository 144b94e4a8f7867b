"""Which ended jobs are old, in virtual time."""

from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.runtime.retention_clock import RetentionClock

RETENTION = 100.0


class Host:
    """A clock that is set, and the watch of one process."""

    def __init__(self, offset: float = 1e9) -> None:
        self.now, self.offset = 50.0, offset
        self.watch = RetentionClock(lambda: self.now + self.offset, lambda: self.now, RETENTION)

    def age(self) -> float:
        """Return how far back what is old begins, from what the clock says."""
        return self.now + self.offset - self.watch.oldest_kept()

    def go_on(self, seconds: float) -> None:
        self.now += seconds
        self.watch.observe()


def test_without_steps_it_is_the_clock() -> None:
    """A job is old when the retention is over."""
    host = Host()
    for _ in range(5):
        host.go_on(60.0)
        assert host.age() == pytest.approx(RETENTION)


def test_a_step_forward_counts_when_the_retention_is_over() -> None:
    """Until then it is left out, and the clock is believed after that."""
    host = Host()
    host.offset += 3600.0
    host.go_on(1.0)
    host.go_on(RETENTION - 1)
    assert host.age() == pytest.approx(RETENTION + 3600.0)
    host.go_on(1.0)
    assert host.age() == pytest.approx(RETENTION)


def test_a_step_back_counts_at_once() -> None:
    """Whoever ends now has the earlier time."""
    host = Host()
    host.offset -= 3600.0
    host.go_on(1.0)
    assert host.age() == pytest.approx(RETENTION)


def test_without_a_retention_nothing_is_old() -> None:
    """It lasts for ever."""
    assert RetentionClock(lambda: 1e9, lambda: 1.0, float("inf")).oldest_kept() == -float("inf")


@given(st.lists(st.tuples(st.floats(0.0, 60.0), st.floats(-1e4, 1e4)), max_size=60))
def test_no_job_is_older_than_it_is(steps: list[tuple[float, float]]) -> None:
    """However the clock is set: what has ended within the retention is kept."""
    host = Host()
    ended: deque[tuple[float, float]] = deque()
    for seconds, step in steps:
        host.offset += step
        host.go_on(seconds)
        ended.append((host.now, host.now + host.offset))
        oldest = host.watch.oldest_kept()
        assert all(at >= oldest - 1e-5 for at in _recent(ended, host.now))


def _recent(ended: deque[tuple[float, float]], now: float) -> Iterator[float]:
    return (at for when, at in ended if now - when < RETENTION)
