"""``dewar tasks schedules``: shows the schedules of tasks, pauses and resumes them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import click

from dewar.cli.tasks_interface import open_store, tasks_of
from dewar.support.printable import printable
from dewar.tasks.status import time_of

# After how many seconds without a renewal no process can be expected to fire a schedule.
_SILENCE = 30.0
_COLUMNS = "{:8}  {:20}  {:20}  {}  ({})"


@click.group("schedules", invoke_without_command=True, short_help="Show and pause schedules.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_context
def schedules_command(ctx: click.Context, as_json: bool) -> None:
    """Show the schedules of the tasks, with their next and last due times in UTC.

    A schedule is active, paused, idle (no process that runs its jobs is there) or removed (this app
    does not declare it; it is deleted when no process has declared it for an hour).
    """
    if ctx.invoked_subcommand is not None:
        return
    found = _Schedules(ctx).all()
    if found and not as_json:
        click.echo(_COLUMNS.format("STATE", "NEXT", "LAST", "TASK", "RULE"))
    for one in found:
        click.echo(json.dumps(_as_json(one)) if as_json else _line(one))
    if not found:
        click.echo("There are no schedules.", err=True)


_names_argument = click.argument("names", metavar="TASK...", nargs=-1, required=True)


@schedules_command.command("pause", short_help="Have schedules submit no jobs.")
@_names_argument
@click.pass_context
def pause_command(ctx: click.Context, names: Sequence[str]) -> None:
    """Pause the schedules of tasks, in all processes, until they are resumed."""
    _for_each(ctx, names, _Schedules(ctx).pause)


@schedules_command.command("resume", short_help="Have paused schedules go on.")
@_names_argument
@click.pass_context
def resume_command(ctx: click.Context, names: Sequence[str]) -> None:
    """Resume paused schedules. Nothing is made up for: they go on with their next due time."""
    _for_each(ctx, names, _Schedules(ctx).resume)


@dataclass(frozen=True, slots=True)
class _Shown:
    row: Any
    state: str


class _Schedules:
    """The schedules in the ledger, and those that the app declares."""

    def __init__(self, ctx: click.Context) -> None:
        database = open_store(ctx).database
        from dewar.tasks.ledger.schedule_table import ScheduleTable

        self._table = ScheduleTable(database)
        self._declared = tasks_of(ctx).schedules()
        self._now = time.time()

    def all(self) -> list[_Shown]:
        rows: Mapping[str, Any] = self._table.rows()
        new = {name: self._new(name) for name in self._declared.keys() - rows.keys()}
        return [_Shown(row, self._state(row)) for _, row in sorted({**rows, **new}.items())]

    def pause(self, name: str) -> str:
        if name in self._declared:
            # Before the first process declares it, too.
            self._table.add(self._new(name))
        if not self._table.pause(name):
            raise self._unknown(name)
        return f"Paused the schedule of {name}."

    def resume(self, name: str) -> str:
        from dewar.tasks.schedules.task_schedule import TaskSchedule, read_rule

        row = self._table.rows().get(name)
        if row is None:
            raise self._unknown(name)
        next_due = TaskSchedule(read_rule(row.rule)).first_due(self._now, row.last_due)
        if not self._table.resume(replace(row, next_due=next_due, moved=self._now)):
            return f"The schedule of {name} is not paused."
        return f"Resumed the schedule of {name}. It is due next at {_time(next_due)}."

    def _new(self, name: str) -> Any:
        """Return a row for a schedule that is not in the ledger."""
        from dewar.tasks.ledger.schedule_table import ScheduleRow

        schedule = self._declared[name]
        return ScheduleRow(
            name=name,
            rule=str(schedule.rule),
            next_due=schedule.first_due(self._now),
            moved=self._now,
            declared=0.0,
            renewed=0.0,
        )

    def _state(self, row: Any) -> str:
        if row.name not in self._declared:
            return "removed"
        if row.paused:
            return "paused"
        return "active" if abs(self._now - row.renewed) < _SILENCE else "idle"

    def _unknown(self, name: str) -> click.ClickException:
        known = sorted({*self._table.rows(), *self._declared})
        return click.ClickException(
            f"There is no schedule of {name}. The tasks with one: {', '.join(known) or 'none'}."
        )


def _for_each(ctx: click.Context, names: Sequence[str], act: Callable[[str], str]) -> None:
    """Act on each schedule and print the result; exit with 1 if there was none."""
    failed = False
    for name in names:
        try:
            click.echo(act(name))
        except click.ClickException as error:
            error.show()
            failed = True
    if failed:
        ctx.exit(1)


def _line(shown: _Shown) -> str:
    row = shown.row
    next_due = "-" if row.paused else _time(row.next_due)
    name, rule = printable(row.name), printable(row.rule)
    return _COLUMNS.format(shown.state, next_due, _time(row.last_due), name, rule)


def _as_json(shown: _Shown) -> dict[str, Any]:
    row = shown.row
    times = {"next": None if row.paused else row.next_due, "last": row.last_due}
    return {
        "task": row.name,
        "state": shown.state,
        "paused": row.paused,
        "rule": row.rule,
        **{name: _iso(seconds) for name, seconds in times.items()},
    }


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None or not isfinite(seconds) else time_of(seconds).isoformat()


def _time(seconds: float | None) -> str:
    is_known = seconds is not None and isfinite(seconds)
    return f"{time_of(seconds):%Y-%m-%dT%H:%M:%SZ}" if is_known and seconds is not None else "-"
