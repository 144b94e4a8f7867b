"""``dewar tasks schedules``: schedules in a real ledger, from a terminal."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dewar import Dewar
from dewar.cli.group import ScriptInfo
from dewar.cli.tasks_group import tasks_group
from dewar.tasks.ledger.schedule_table import ScheduleRow, ScheduleTable
from dewar.tasks.tasks import Tasks

Run = Callable[..., Result]
NOON = 1796040000.0  # 2026-11-30, 12:00 UTC


@pytest.fixture
def app(tmp_path: Path) -> Dewar:
    app = Dewar("shop", instance_path=str(tmp_path))
    tasks = Tasks(app)
    tasks.task(every=60)(tick)
    tasks.task(cron="30 3 * * *", time_zone="Europe/Berlin")(report)
    return app


def tick() -> None: ...


def report() -> None: ...


@pytest.fixture
def table(app: Dewar) -> Iterator[ScheduleTable]:
    ledger = app.extensions["dewar.tasks"].open_ledger()
    yield ScheduleTable(ledger.database)
    ledger.close()


@pytest.fixture
def run(app: Dewar) -> Run:
    """Run ``dewar tasks schedules`` for the app."""

    def invoke(*args: str) -> Result:
        info = ScriptInfo(create_app=lambda: app)
        return CliRunner().invoke(tasks_group, ["schedules", *args], obj=info)

    return invoke


def row(name: str, **given: Any) -> ScheduleRow:
    fields: dict[str, Any] = {
        "rule": "every 60", "next_due": NOON, "moved": NOON, "declared": NOON,
        "renewed": time.time(),
    }  # fmt: skip
    return ScheduleRow(name=name, **(fields | given))


def shown(result: Result) -> dict[str, dict[str, Any]]:
    """Return what was printed as JSON, by task."""
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {line["task"]: line for line in lines}


def test_each_schedule_is_one_line(run: Run, table: ScheduleTable) -> None:
    """With its state, the next and the last due time, and its rule."""
    table.add(row("tick", last_due=NOON - 60))
    table.add(row("old\x1b one"))
    lines = run().stdout.splitlines()
    assert lines[0].split() == ["STATE", "NEXT", "LAST", "TASK", "(RULE)"]
    assert lines[1].startswith("removed   2026-11-30T12:00:00Z  -  ")
    assert "\x1b" not in lines[1]
    assert lines[2].startswith("idle ")
    assert lines[2].endswith("  report  (cron 30 3 * * * Europe/Berlin)")
    expected = "active    2026-11-30T12:00:00Z  2026-11-30T11:59:00Z  tick  (every 60)"
    assert lines[3] == expected


def test_a_program_reads_json(run: Run, table: ScheduleTable) -> None:
    """One object a line; what has no time has none, in the ledger or not."""
    table.add(row("tick", next_due=float("inf"), renewed=1.0))
    found = shown(run("--json"))
    assert found["tick"] == {
        "task": "tick", "state": "idle", "paused": False, "rule": "every 60", "next": None,
        "last": None,
    }  # fmt: skip
    assert found["report"]["next"].endswith(":30:00+00:00")


def test_an_app_without_schedules_says_so(run: Run, app: Dewar) -> None:
    """Not on the standard output, which a program reads."""
    app.extensions["dewar.tasks"]._tasks.clear()
    result = run("--json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "There are no schedules." in result.stderr


def test_pausing_holds_until_it_is_resumed(run: Run, table: ScheduleTable) -> None:
    """It goes on with the next due time from now, by the rule in the ledger."""
    table.add(row("tick", rule="every 3600"))
    result = run("pause", "tick", "report")
    assert result.stdout.splitlines() == [
        "Paused the schedule of tick.",
        "Paused the schedule of report.",
    ]
    found = shown(run("--json"))
    assert {one["state"] for one in found.values()} == {"paused"}
    assert found["tick"]["next"] is None
    before = time.time()
    assert run("resume", "tick").stdout.startswith("Resumed the schedule of tick. It is due next")
    resumed = table.rows()["tick"]
    assert resumed.next_due % 3600 == 0
    assert before < resumed.next_due <= time.time() + 3600
    assert not resumed.paused
    assert run("resume", "tick").stdout == "The schedule of tick is not paused.\n"
    assert table.rows()["report"].paused


def test_one_may_be_paused_before_any_process_declares_it(run: Run, table: ScheduleTable) -> None:
    """The first process finds it paused, and its own declaration is a newer one."""
    assert run("pause", "report").exit_code == 0
    found = table.rows()["report"]
    assert found.paused
    assert found.rule == "cron 30 3 * * * Europe/Berlin"
    assert found.declared == 0.0


def test_an_unknown_one_is_an_error(run: Run, table: ScheduleTable) -> None:
    """It names those that there are; the others are paused."""
    table.add(replace(row("old"), rule="every 5"))
    result = run("pause", "nope", "tick")
    assert result.exit_code == 1
    assert "There is no schedule of nope. The tasks with one: old, report, tick." in result.stderr
    assert "Paused the schedule of tick." in result.stdout
    assert run("resume", "nope").exit_code == 1


def test_a_rule_that_this_version_cannot_read_is_an_error(run: Run, table: ScheduleTable) -> None:
    """Of a newer version: it is shown, and can be paused, but not resumed here."""
    table.add(row("new", rule="lunar full Europe/Berlin"))
    assert run("pause", "new").exit_code == 0
    result = run("resume", "new")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr
    assert table.rows()["new"].paused
