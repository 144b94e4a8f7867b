"""`ScheduleDeclarations`: keeps the schedules in the ledger as the code of its processes says.

During a deployment, processes of two versions declare different rules. The rules:

- The declaration of the process that began last holds. Others leave the schedule to it.
- If nobody has renewed a declaration for `TAKEOVER` seconds, no process has it any more, and
  another one takes its place: that of a version that was rolled back, for instance.
- A schedule that nobody declares is never due, because no process knows it. It is deleted after
  `FORGET` seconds, so that a version that is rolled back finds it as it was, and paused if it was.
- A new rule begins with its next due time. What the old one has missed is not made up for.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from dewar.tasks.ledger.schedule_table import ScheduleRow, ScheduleTable
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.unchanged import UnchangedValues
from dewar.tasks.schedules.task_schedule import MOST_AHEAD, TaskSchedule

_logger = logging.getLogger("dewar.tasks")
#: How often a process looks, in seconds.
INTERVAL = 5.0
#: After how many seconds without a renewal a declaration is replaced, and deleted.
TAKEOVER, FORGET = 30.0, 3600.0
# How old a renewal may become, and how long a schedule stays ahead of the clock, in seconds.
_RENEWAL, _STUCK = 10.0, 60.0


class ScheduleDeclarations:
    """The declarations of one process. One thread uses it.

    Args:
        jobs: The jobs of this process.
    """

    def __init__(self, jobs: ProcessJobs) -> None:
        self._table = ScheduleTable(jobs.ledger.database)
        self._owner = jobs.owner.id
        self._began = jobs.clock()
        self._renewals = UnchangedValues(jobs.monotonic, TAKEOVER / 2)
        self._moves = UnchangedValues(jobs.monotonic, TAKEOVER / 2)

    def __repr__(self) -> str:
        return f"<ScheduleDeclarations of {self._table!r}>"

    def latest_renewal(self) -> float | None:
        """Return the time that the other processes have by their clocks, if there are any."""
        return self._table.latest_renewal(self._owner)

    def keep(self, declared: Mapping[str, TaskSchedule], now: float) -> list[ScheduleRow]:
        """Bring the ledger up to date; return the schedules that this process may fire.

        Args:
            declared: The schedules of this process by name.
            now: Seconds since the epoch.
        """
        rows = self._table.rows()
        unrenewed = self._renewals.look({name: row.renewed for name, row in rows.items()})
        unmoved = self._moves.look({name: row.moved for name, row in rows.items()})
        for name, row in list(rows.items()):
            if name not in declared:
                if unrenewed[name] >= FORGET:
                    self._drop(row)
                continue
            schedule = declared[name]
            if row.rule != str(schedule.rule):
                if unrenewed[name] >= TAKEOVER or self._is_older(row, now):
                    rows[name] = self._set(row, schedule, now)
            elif row.moved > now + MOST_AHEAD and unmoved[name] >= _STUCK:
                _logger.warning("The schedule of %s was ahead of the clock, and goes on", name)
                rows[name] = self._set(row, schedule, now)
        for name in declared.keys() - rows.keys():
            rows[name] = self._add(name, declared[name], now)
        own = [row for name, row in rows.items() if _is_of(row, declared.get(name))]
        self._renew(own, now)
        return [row for row in own if not row.paused]

    def _is_older(self, row: ScheduleRow, now: float) -> bool:
        # A process that began in the future had a wrong clock.
        return row.declared < self._began or row.declared > now + MOST_AHEAD

    def _add(self, name: str, schedule: TaskSchedule, now: float) -> ScheduleRow:
        row = ScheduleRow(
            name=name,
            rule=str(schedule.rule),
            next_due=schedule.first_due(now),
            moved=now,
            declared=self._began,
            renewed=now,
        )
        self._table.add(row)  # if another one has just done so, that holds; the next look sees it
        return row

    def _set(self, row: ScheduleRow, schedule: TaskSchedule, now: float) -> ScheduleRow:
        """Let a schedule go on with the rule of this process, from now on."""
        changed = replace(
            row,
            rule=str(schedule.rule),
            next_due=schedule.first_due(now, row.last_due),
            moved=now,
            declared=self._began,
            renewed=now,
        )
        if self._table.replace(row, changed):
            _logger.info("The schedule of %s is now: %s", row.name, changed.rule)
        return changed

    def _drop(self, row: ScheduleRow) -> None:
        self._table.drop(row)
        _logger.info("The schedule of %s is deleted: no process declares it", row.name)

    def _renew(self, rows: list[ScheduleRow], now: float) -> None:
        old = [
            replace(
                row,
                renewed=now,
                declared=self._began if self._is_older(row, now) else row.declared,
            )
            for row in rows
            if abs(now - row.renewed) >= _RENEWAL
        ]
        if old:
            self._table.renew(old)


def _is_of(row: ScheduleRow, schedule: TaskSchedule | None) -> bool:
    return schedule is not None and row.rule == str(schedule.rule)
