"""Reports of schedules that stopped, fired twice, or left a due time out."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.tasks.runtime.test_scheduler import YEAR, Host, World, every

from dewar.tasks.schedules.cron_rule import CronRule


def due_times(rule: CronRule, begin: str, count: int) -> list[str]:
    """Return the next due times after a local time."""
    zone = ZoneInfo(rule.time_zone)
    due, found = datetime.fromisoformat(begin).replace(tzinfo=zone).timestamp(), []
    for _ in range(count):
        due = rule.after(due)
        found.append(f"{datetime.fromtimestamp(due, zone):%m-%d %H:%M}")
    return found


def test_no_day_is_left_out_where_the_clock_is_set_forward() -> None:
    """A time before the gap is due on each day.

    There the day after it was skipped: https://github.com/agronholm/apscheduler/issues/606
    """
    rule = CronRule.read("0 0 * * *", "US/Pacific")
    found = due_times(rule, "2022-03-12 12:00", 4)
    assert found == ["03-13 00:00", "03-14 00:00", "03-15 00:00", "03-16 00:00"]


def test_a_due_time_exists() -> None:
    """In the gap, a fixed time is due right after it, and the next day at its time.

    There the time was one that the clock never shows:
    https://github.com/agronholm/apscheduler/issues/1059
    """
    rule = CronRule.read("0 2 * * *", "US/Eastern")
    assert due_times(rule, "2013-03-09 12:00", 2) == ["03-10 03:00", "03-11 02:00"]


def test_every_second_hour_passes_the_hour_that_comes_twice() -> None:
    """Each due time is later than the one before.

    There the same time was found for ever, and an hourly job left one hour out:
    https://github.com/agronholm/apscheduler/issues/980,
    https://github.com/celery/celery/issues/10107
    """
    rule = CronRule.read("0 */2 * * *", "Europe/London")
    assert due_times(rule, "2024-10-27 00:30", 2) == ["10-27 02:00", "10-27 04:00"]
    rule = CronRule.read("0 * * * *", "US/Pacific")
    hours = due_times(rule, "2026-11-01 00:30", 3)
    assert hours == ["11-01 01:00", "11-01 01:00", "11-01 02:00"]


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("Europe/Paris", ["2025-03-30", "2025-10-26"]),
        ("US/Eastern", ["2025-03-09", "2025-11-02"]),
        ("Australia/Lord_Howe", ["2025-04-06", "2025-10-05"]),
    ],
)
def test_a_schedule_goes_on_when_the_clock_is_set(zone: str, days: list[str]) -> None:
    """Every five minutes of real time, on the days of both changes too.

    There no job was sent for an hour, or until a restart:
    https://github.com/celery/celery/issues/6438,
    https://github.com/agronholm/apscheduler/issues/1036
    """
    rule = CronRule.read("*/5 * * * *", zone)
    for day in days:
        due = datetime.fromisoformat(day).timestamp() - 86_400.0
        times = [due := rule.after(due) for _ in range(3 * 288)]
        assert {after - before for before, after in pairwise(times)} == {300.0}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "jobs.sqlite3")
    yield world
    world.close()


@pytest.mark.parametrize("years", [-14.0, 14.0], ids=["back", "forward"])
def test_a_schedule_survives_a_clock_that_is_set(world: World, years: float) -> None:
    """By years: it soon follows the new time, with one job at most for all the years between.

    There nothing was sent any more until a restart: https://github.com/celery/celery/issues/3685,
    https://github.com/celery/celery/issues/6742
    """
    world.start(tick=every(20.0))
    world.go_on(300.0)
    before = world.fired()
    world.host.wall += years * YEAR
    world.go_on(120.0)
    between = len(world.fired())
    world.go_on(300.0)
    assert between - len(before) <= 7
    assert len(world.fired()) - between == 15
    last = world.fired()[0 if years < 0 else -1]
    assert abs(last - years * YEAR) < 3600.0


def test_many_workers_of_a_server_fire_once(world: World) -> None:
    """However many begin at once, on one host or two, and whichever ends.

    There each worker, or each beat, had its own scheduler, and each sent the job:
    https://github.com/viniciuschiele/flask-apscheduler/issues/13,
    https://github.com/agronholm/apscheduler/issues/766,
    https://github.com/celery/celery/issues/2856
    """
    other = Host()
    workers = [world.start(host, tick=every(60)) for host in (None, None, other, other)]
    world.go_on(150.0)
    for worker in workers[::2]:
        world.kill(worker)
    world.go_on(150.0)
    assert world.fired() == [60.0, 120.0, 180.0, 240.0, 300.0]
