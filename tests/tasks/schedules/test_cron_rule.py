"""Due times by cron expressions, also where the clock of a zone is set."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.schedules.cron_rule import CronRule

#: Zones whose clocks are set in each way: by an hour at 1, 2 or 0 o'clock, by half an hour, by a
#: day, never.
ZONES = ["Europe/Berlin", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "UTC"]
DAY = 86_400.0


def moment(zone: str, *when: int, fold: int = 0) -> float:
    return datetime(*when, tzinfo=ZoneInfo(zone), fold=fold).timestamp()  # type: ignore[misc,arg-type]


def due_on(rule: CronRule, *date: int) -> list[str]:
    """Return the due times of a local day, with their offsets."""
    zone = ZoneInfo(rule.time_zone)
    begin = datetime(*date, tzinfo=zone)  # type: ignore[misc,arg-type]
    end = (begin + timedelta(days=1)).timestamp()
    found, due = [], begin.timestamp() - 1
    while (due := rule.after(due)) < end:
        found.append(f"{datetime.fromtimestamp(due, zone):%H:%M %z}")
    return found


def test_it_is_due_by_the_clock_of_its_zone() -> None:
    """In winter and in summer at the same local time."""
    rule = CronRule.read("30 3 * * MON-FRI", "Europe/Berlin")
    assert rule.after(moment("UTC", 2026, 1, 15)) == moment("UTC", 2026, 1, 15, 2, 30)
    assert rule.after(moment("UTC", 2026, 7, 15)) == moment("UTC", 2026, 7, 15, 1, 30)
    friday = moment("Europe/Berlin", 2026, 7, 17, 3, 30)
    assert rule.after(friday) == moment("Europe/Berlin", 2026, 7, 20, 3, 30)
    assert str(rule) == "cron 30 3 * * MON-FRI Europe/Berlin"
    assert CronRule.read("0 0 * * *", None).after(0.0) == DAY
    assert CronRule.read("30 3 * * MON-FRI", ZoneInfo("Europe/Berlin")) == rule
    assert CronRule.read("0 0 * * *", UTC) == CronRule.read("0 0 * * *", "UTC")


def test_a_time_that_does_not_exist_is_right_after_the_gap() -> None:
    """And the next day at its time again."""
    rule = CronRule.read("30 2 * * *", "Europe/Berlin")
    assert due_on(rule, 2026, 3, 28) == ["02:30 +0100"]
    assert due_on(rule, 2026, 3, 29) == ["03:00 +0200"]
    assert due_on(rule, 2026, 3, 30) == ["02:30 +0200"]
    assert due_on(CronRule.read("0 0 * * *", "Africa/Cairo"), 2026, 4, 24) == ["01:00 +0300"]


def test_a_time_that_comes_twice_is_due_once() -> None:
    """The first time; asked within the second hour as well."""
    rule = CronRule.read("30 2 * * *", "Europe/Berlin")
    assert due_on(rule, 2026, 10, 25) == ["02:30 +0200"]
    again = moment("Europe/Berlin", 2026, 10, 25, 2, 10, fold=1)
    assert rule.after(again) == moment("Europe/Berlin", 2026, 10, 26, 2, 30)


def test_with_a_star_it_follows_the_clock() -> None:
    """An hourly one has 23 and 25 hours on these days, each an hour after the other."""
    rule = CronRule.read("0 * * * *", "Europe/Berlin")
    assert len(due_on(rule, 2026, 3, 29)) == 23
    assert len(due_on(rule, 2026, 10, 25)) == 25


FIELD = st.sampled_from
EXPRESSIONS = st.builds(
    "{} {} {} {} {}".format,
    FIELD(["*", "0", "*/7", "5,35", "10-20/5"]),
    FIELD(["*", "0", "2", "1-3", "*/6", "0,2,23"]),
    FIELD(["*", "1", "L", "*/2", "25-31"]),
    FIELD(["*", "3,10", "4"]),
    FIELD(["*", "SUN", "1-5", "SUN#1", "5L"]),
)
#: Around days on which these clocks are set.
DAYS = st.sampled_from(
    [(2026, 3, 28), (2026, 10, 24), (2026, 3, 7), (2026, 10, 31), (2026, 4, 3), (2026, 4, 23)]
)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.sampled_from(ZONES), DAYS, st.integers(0, 47 * 3600))
def test_the_times_are_those_of_cronsim(
    expression: str, zone: str, day: tuple[int, int, int], begin: int
) -> None:
    """Wherever one begins to ask: the same times, each later than the one before, none twice."""
    rule = CronRule.read(expression, zone)
    first = datetime(*day, tzinfo=UTC)
    end = (first + timedelta(days=5)).timestamp()
    # From two days before, so that it has passed each change of the clock.
    listed = [one.timestamp() for one in takewhile(
        lambda one: one.timestamp() < end,
        CronSim(expression, (first - timedelta(days=2)).astimezone(ZoneInfo(zone))),
    )]  # fmt: skip
    asked = first.timestamp() + begin
    expected = sorted({one for one in listed if one > asked})
    found, due = [], asked
    while (due := rule.after(due)) < end:
        found.append(due)
    assert found == expected


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "0 0 0 * * *", "@daily", "61 * * * *", "*/0 * * * *", "a b c d e", 5, None,
     ["*"] * 5, "* * * * 1#9", "9" * 5000 + " * * * *"],
)  # fmt: skip
def test_an_expression_that_is_none_is_refused(cron: Any) -> None:
    """The error shows one that is."""
    with pytest.raises(TaskSetupError, match=r"cron='\*/5 \* \* \* \*'|never due"):
        CronRule.read(cron, None)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_a_date_that_never_comes_is_refused(cron: str) -> None:
    """Rather than a schedule that does nothing."""
    with pytest.raises(TaskSetupError):
        CronRule.read(cron, None)


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789*/-,#LW MONJA ", max_size=25))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    """Nothing else is raised, here or later."""
    try:
        rule = CronRule.read(text, "Europe/Berlin")
    except TaskSetupError:
        return
    assert rule.after(1.8e9) > 1.8e9


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", 3, "../x", b"UTC", "Europe", "a" * 5000])
def test_a_zone_that_is_none_is_refused(zone: Any) -> None:
    """The error names a possible one, and the package for systems without zones."""
    with pytest.raises(TaskSetupError, match=r"time_zone='Europe/Berlin'; .* tzdata"):
        CronRule.read("* * * * *", zone)


def test_after_the_last_date_of_the_calendar_it_is_never_due() -> None:
    """And not an error in the middle of a process."""
    assert CronRule.read("0 0 29 2 *", None).after(moment("UTC", 9999, 6, 1)) == inf
    assert CronRule.read("* * * * *", None).after(1e30) == inf
