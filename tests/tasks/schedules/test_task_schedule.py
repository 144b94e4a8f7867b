"""What a schedule does at a moment, and which of the missed due times it makes up for."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.schedules.cron_rule import CronRule
from dewar.tasks.schedules.every_rule import EveryRule
from dewar.tasks.schedules.task_schedule import (
    GRACE,
    MOST_AGE,
    MOST_AT_ONCE,
    Firing,
    MissedPolicy,
    ScheduleRule,
    TaskSchedule,
    local_time,
    read_rule,
    schedule_of,
)

HOUR = 3600.0
HOURLY = EveryRule.read(HOUR)
RULES = st.one_of(
    st.builds(EveryRule.read, st.sampled_from([30.0, 300.0, HOUR, timedelta(days=1)])),
    st.builds(
        CronRule.read,
        st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 1-3 * * *", "15,45 2 * 3,10 *"]),
        st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    ),
)
#: The last days of March and October, in which clocks are set.
MOMENTS = st.one_of(st.floats(1774656000, 1775001600), st.floats(1792800000, 1793145600))


def fired(schedule: TaskSchedule, next_due: float, now: float) -> tuple[list[float], float]:
    """Return all jobs of a moment, and the next due time."""
    times: list[float] = []
    while (firing := schedule.firing(next_due, now)) is not None:
        times += firing.due_times
        next_due = firing.next_due
    return times, next_due


def all_between(rule: ScheduleRule, first: float, now: float) -> list[float]:
    found = []
    while first <= now:
        found.append(first)
        first = rule.after(first)
    return found


def test_before_its_time_it_does_nothing() -> None:
    """At its time it has one job, with each policy."""
    for missed in MissedPolicy:
        schedule = TaskSchedule(HOURLY, missed)
        assert schedule.firing(HOUR, HOUR - 0.001) is None
        assert schedule.firing(HOUR, HOUR) == Firing((HOUR,), 2 * HOUR)


def test_the_policies_of_missed_times() -> None:
    """None that is more than a minute late, the latest one, or each."""
    now = 5.5 * HOUR
    assert TaskSchedule(HOURLY, MissedPolicy.SKIP).firing(HOUR, now) == Firing((), 6 * HOUR)
    late = 5 * HOUR + GRACE
    assert TaskSchedule(HOURLY, MissedPolicy.SKIP).firing(HOUR, late) == Firing(
        (5 * HOUR,), 6 * HOUR
    )
    assert TaskSchedule(HOURLY).firing(HOUR, now) == Firing((5 * HOUR,), 6 * HOUR)
    each = tuple(HOUR * number for number in range(1, 6))
    assert TaskSchedule(HOURLY, MissedPolicy.ALL).firing(HOUR, now) == Firing(each, 6 * HOUR)


def test_many_missed_times_come_in_pieces_and_not_from_ages_ago() -> None:
    """A thousand in one transaction; after a clock that stood at 1970, those of a month."""
    schedule = TaskSchedule(EveryRule.read(60), MissedPolicy.ALL)
    now = 1.8e9
    first = schedule.firing(now - 90_000, now)
    assert first is not None
    assert len(first.due_times) == MOST_AT_ONCE
    assert first.next_due <= now
    assert len(fired(schedule, now - 90_000, now)[0]) == 1501
    times, next_due = fired(schedule, 60.0, now)
    assert len(times) == MOST_AGE / 60
    assert next_due == now + 60


def test_the_latest_time_of_half_a_century_is_found_at_once() -> None:
    """A clock that stood at 1970 holds up no process."""
    asked = []

    class Counted:
        def after(self, moment: float) -> float:
            asked.append(moment)
            return EveryRule.read(1).after(moment)

    firing = TaskSchedule(Counted()).firing(1.0, 1.8e9)
    assert firing == Firing((1.8e9,), 1.8e9 + 1)
    assert len(asked) < 100


@settings(max_examples=150, deadline=None)
@given(RULES, MOMENTS, st.floats(0.0, 3 * 86_400), st.sampled_from(MissedPolicy))
def test_each_due_time_has_what_its_policy_says(
    rule: ScheduleRule, begin: float, away: float, missed: MissedPolicy
) -> None:
    """Over changes of the clock, for a process that was away for any time."""
    next_due, now = rule.after(begin), begin + away
    due = all_between(rule, next_due, now)
    times, following = fired(TaskSchedule(rule, missed), next_due, now)
    assert following == rule.after(due[-1] if due else begin) > now
    if missed is MissedPolicy.ALL:
        assert times == due
    elif missed is MissedPolicy.ONCE:
        assert times == due[-1:]
    else:
        assert times == [one for one in due[-1:] if now - one <= GRACE]


@settings(max_examples=60, deadline=None)
@given(RULES, MOMENTS, st.lists(st.floats(0.0, 7200), max_size=20), st.sampled_from(MissedPolicy))
def test_no_due_time_has_two_jobs_however_often_one_looks(
    rule: ScheduleRule, begin: float, pauses: list[float], missed: MissedPolicy
) -> None:
    """And in the order of time."""
    now, next_due = begin, rule.after(begin)
    times: list[float] = []
    for pause in pauses:
        now += pause
        more, next_due = fired(TaskSchedule(rule, missed), next_due, now)
        times += more
    assert times == sorted(set(times))
    assert set(times) <= set(all_between(rule, rule.after(begin), now))


def test_a_new_rule_begins_after_what_the_old_one_did() -> None:
    """Another host's clock may be a little ahead; one that is far ahead was wrong."""
    schedule = TaskSchedule(HOURLY)
    assert schedule.first_due(2 * HOUR - 1) == 2 * HOUR
    assert schedule.first_due(2 * HOUR - 1, last_due=2 * HOUR) == 3 * HOUR
    assert schedule.first_due(2 * HOUR - 1, last_due=1.0) == 2 * HOUR
    assert schedule.first_due(2 * HOUR - 1, last_due=1e9) == 2 * HOUR


@given(RULES)
def test_a_rule_is_the_same_from_its_text(rule: ScheduleRule) -> None:
    """So any process can say when a schedule in the ledger is due."""
    assert read_rule(str(rule)) == rule


def test_a_due_time_is_told_in_the_zone_of_the_rule() -> None:
    """And in UTC for an interval."""
    rule = CronRule.read("0 3 * * *", "Europe/Berlin")
    assert local_time(rule, 1.8e9).isoformat() == "2027-01-15T09:00:00+01:00"
    assert local_time(HOURLY, 1.8e9).isoformat() == "2027-01-15T08:00:00+00:00"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"every": 60, "cron": "* * * * *"}, "by every= or by cron="),
        ({"every": 60, "time_zone": "UTC"}, "only cron has a time_zone"),
        ({"time_zone": "UTC"}, "belong to a schedule"),
        ({"missed": "once"}, "belong to a schedule"),
        ({"every": 60, "missed": "later"}, "'skip' .* 'once' .* 'all'"),
        ({"every": 60, "missed": []}, "'skip' .* 'once' .* 'all'"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], message: str) -> None:
    """The error shows what does."""
    with pytest.raises(TaskSetupError, match=message):
        schedule_of(**{"every": None, "cron": None, "time_zone": None, "missed": None, **given})


def test_without_a_rule_there_is_no_schedule() -> None:
    """As of most tasks."""
    assert schedule_of(None, None, None, None) is None
