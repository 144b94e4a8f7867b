"""The time, where the clock is set."""

import pytest

from dewar.tasks.runtime.steady_clock import HOLD, SteadyClock

YEAR = 366 * 86_400.0


class Clocks:
    """A clock that the test sets, and one that nobody sets."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1e9, 100.0
        self.steady = SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def go_on(self, seconds: float, drift: float = 0.0) -> float:
        self.wall += seconds + drift
        self.monotonic += seconds
        return self.steady.now() - self.wall


def test_it_is_the_clock() -> None:
    """Also where that is corrected a little, all the time."""
    clocks = Clocks()
    for _ in range(100):
        assert abs(clocks.go_on(5.0, drift=0.5)) < 1e-6
        assert abs(clocks.go_on(5.0, drift=-0.4)) < 1e-6


@pytest.mark.parametrize("step", [YEAR, 60.0, -60.0, -YEAR])
def test_a_step_that_is_taken_back_soon_was_none(step: float) -> None:
    """However often it happens."""
    clocks = Clocks()
    for _ in range(5):
        clocks.wall += step
        for _ in range(5):
            assert clocks.go_on(5.0) == pytest.approx(-step)
        clocks.wall -= step
        assert clocks.go_on(5.0) == pytest.approx(0.0)


@pytest.mark.parametrize("step", [60.0, YEAR])
def test_it_begins_with_the_time_of_another_process_that_is_far_earlier(step: float) -> None:
    """Until the clock has stayed where it is for some time."""
    clocks = Clocks()
    clocks.steady.begin(clocks.wall - 15.0)
    assert clocks.go_on(5.0) == 0.0
    clocks.steady.begin(clocks.wall - step)
    assert clocks.go_on(5.0) == pytest.approx(-step)
    assert clocks.go_on(HOLD - 6.0) == pytest.approx(-step)
    assert clocks.go_on(1.0) == pytest.approx(0.0)


@pytest.mark.parametrize("step", [60.0, YEAR])
def test_the_time_of_another_process_that_is_ahead_is_not_believed(step: float) -> None:
    """That one may be wrong, and what has fired for a later time is over."""
    clocks = Clocks()
    clocks.steady.begin(clocks.wall + step)
    assert clocks.go_on(5.0) == 0.0


@pytest.mark.parametrize("step", [YEAR, 60.0, -60.0, -YEAR])
@pytest.mark.parametrize("other", [True, False])
def test_a_clock_that_is_set_right_before_the_first_look_was_never_wrong(
    step: float, other: bool
) -> None:
    """The database may be away meanwhile, so the first look can be late."""
    clocks = Clocks()
    clocks.wall -= step
    clocks.steady.begin(clocks.wall if other else None)
    assert clocks.go_on(5.0) == 0.0


@pytest.mark.parametrize("step", [YEAR, 60.0, -60.0, -YEAR])
def test_a_step_that_stays_is_believed(step: float) -> None:
    """After some time in which the clock was not set again."""
    clocks = Clocks()
    clocks.wall += step
    clocks.go_on(5.0)
    clocks.wall += 7.0
    off = [clocks.go_on(5.0) for _ in range(9)]
    first = int(HOLD / 5.0)
    assert off[:first] == pytest.approx([-step - 7.0] * first)
    assert off[first:] == pytest.approx([0.0] * (9 - first))
