"""Due times at equal intervals."""

from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.schedules.every_rule import EveryRule


def test_the_times_are_multiples_of_the_interval() -> None:
    """A quarter of an hour is at :00, :15, :30 and :45, whenever a process starts."""
    rule = EveryRule.read(timedelta(minutes=15))
    assert rule.after(0.0) == 900.0
    assert rule.after(899.999) == 900.0
    assert rule.after(900.0) == 1800.0
    assert str(rule) == "every 900"
    assert str(EveryRule.read(1.25)) == "every 1.25"
    assert str(EveryRule.read(10)) == "every 10"


@given(
    st.integers(1_000_000, 366 * 86_400_000_000), st.floats(0.0, 4e9, allow_nan=False), st.data()
)
def test_each_time_is_later_and_none_is_left_out(
    microseconds: int, moment: float, data: st.DataObject
) -> None:
    """For any interval: asked at a due time or between two, the next one is the same."""
    rule = EveryRule(microseconds)
    assert EveryRule.read(float(str(rule).removeprefix("every "))) == rule
    first = rule.after(moment)
    second = rule.after(first)
    assert moment < first < second
    assert abs(second - first - microseconds / 1e6) < 1e-5
    between = data.draw(st.floats(first, second, exclude_max=True))
    assert rule.after(between) == second
    assert rule.after((first + second) / 2) == second


@pytest.mark.parametrize(
    "every",
    [0, -1, 0.5, True, inf, nan, "60", None, [], timedelta(0), timedelta(days=400), 10**400],
)
def test_an_impossible_interval_is_refused(every: Any) -> None:
    """The error shows a possible one."""
    with pytest.raises(TaskSetupError, match=r"every=timedelta\(minutes=5\), or every=300"):
        EveryRule.read(every)
