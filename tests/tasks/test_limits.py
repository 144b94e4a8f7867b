"""The limits of tasks: decisions at times that are made up."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.limits import Rate, TaskLimits


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/m", Rate(10, 60.0)),
        ("1/s", Rate(1, 1.0)),
        ("100/h", Rate(100, 3600.0)),
        ("1000/d", Rate(1000, 86_400.0)),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate) -> None:
    """A number of jobs, and the letter of the time."""
    assert Rate.read(text) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "10/", "/m", "0/m", "-1/m", "10/w", "1.5/s", 10, " 1/s"]
)
def test_what_is_no_rate_is_refused(text: object) -> None:
    """The error shows how to write one."""
    with pytest.raises(TaskSetupError, match="rate='10/m'"):
        Rate.read(text)


def starts(rate: Rate, looks: list[float]) -> list[float]:
    """Return when jobs begin, if as many are claimed at each look as may be."""
    arrival, found = 0.0, []
    for now in looks:
        count = rate.allowed(arrival, now)
        if count:
            arrival = rate.after(arrival, now, count)
        found += [now] * count
    return found


@given(
    st.sampled_from(["1/s", "3/s", "10/m", "50/s", "1000/s", "7/h"]),
    st.lists(st.floats(0.0, 0.7), min_size=1, max_size=300),
)
def test_no_period_has_more_than_the_rate(text: str, pauses: list[float]) -> None:
    """Whenever processes look, and from whatever moment the period is counted."""
    rate = Rate.read(text)
    now, looks = 1e9, []
    for pause in pauses:
        now += pause * rate.period
        looks.append(now)
    found = starts(rate, looks)
    for begin in set(found):
        within = [at for at in found if begin <= at < begin + rate.period - 1e-3]
        assert len(within) <= rate.count


@given(
    st.sampled_from(["1/s", "5/s", "20/s", "1000/s"]),
    st.lists(st.floats(0.0, 1.0), min_size=30, max_size=100),
)
def test_no_period_has_more_begins_if_some_jobs_begin_late(text: str, delays: list[float]) -> None:
    """A function that counts its own calls sees no more, though each waits for a worker first."""
    rate = Rate.read(text)
    arrival, now, begins = 0.0, 1e9, []
    for delay in delays:
        now = max(now, rate.free_at(arrival))
        arrival = rate.after(arrival, now, 1)
        begins.append(now + delay * 0.05)
    for begin in begins:
        within = [at for at in begins if begin <= at < begin + rate.period - 1e-3]
        assert len(within) <= rate.count


@pytest.mark.parametrize("text", ["10/m", "20/s", "1000/s"])
def test_a_process_that_looks_in_time_gets_nearly_all(text: str) -> None:
    """At each time that was named, and with a look that comes a little late as well."""
    rate = Rate.read(text)
    arrival, now, count = 0.0, 1e9, 0
    while now < 1e9 + 20 * rate.period:
        allowed = rate.allowed(arrival, now)
        arrival = rate.after(arrival, now, allowed) if allowed else arrival
        count += allowed
        now = max(now + 0.005, rate.free_at(arrival))
    assert count >= 0.9 * 20 * rate.count


def test_a_clock_that_was_set_forward_gives_no_more_at_once() -> None:
    """A long time without a job saves up no more than a burst."""
    rate = Rate.read("10/m")
    arrival = rate.after(0.0, 1e9, 1)
    assert rate.allowed(arrival, 1e9) == 0
    assert rate.allowed(arrival, 2e9) == 1


def test_the_stricter_limit_decides() -> None:
    """Of both limits, and none of a task without."""
    both = TaskLimits(Rate.read("100/s"), 3)
    assert both.allowed(0, 0.0, 1e9) == 3
    assert both.allowed(3, 0.0, 1e9) == 0
    assert both.allowed(5, 0.0, 1e9) == 0
    assert TaskLimits().allowed(9, 0.0, 1e9) is None
    assert bool(both)
    assert not TaskLimits()


def test_the_next_job_is_due_when_the_limits_allow_it() -> None:
    """At its own time, at that of the rate, or when another has ended."""
    paced = TaskLimits(Rate.read("10/m"))
    arrival = Rate.read("10/m").after(0.0, 100.0, 1)
    assert paced.free_at(50.0, 0, arrival) == 106.0
    assert paced.free_at(200.0, 0, arrival) == 200.0
    assert TaskLimits(max_running=1).free_at(50.0, 0, 0.0) == 50.0
    assert TaskLimits(max_running=1).free_at(50.0, 1, 0.0) == inf
