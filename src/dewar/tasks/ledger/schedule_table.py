"""`ScheduleTable`: the schedules in the ledger, one row for each task that has one.

A due time belongs to whoever moves the row past it. The jobs of that due time are inserted in the
same transaction, so each has its jobs once, over all processes, and whenever one of them dies.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, func, select, text, update

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.batch_writing import CONFLICTS, write_with_effects
from dewar.tasks.ledger.columns import RowValues
from dewar.tasks.ledger.database import Database, is_conflict, may_work_again
from dewar.tasks.ledger.outbox_insert import Describe
from dewar.tasks.ledger.queue_allowance import QueueAllowance
from dewar.tasks.ledger.records import BatchResult, NewJob, Settled
from dewar.tasks.ledger.schema import owners, schedules


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleRow:
    """A schedule in the ledger. Times are seconds since the epoch."""

    #: That of its task.
    name: str
    #: The text of the rule by which it is due.
    rule: str
    #: The first due time that has no job yet.
    next_due: float
    #: The due time of its last job.
    last_due: float | None = None
    #: When `next_due` was set, by the clock of who did.
    moved: float
    paused: bool = False
    #: When the process began whose declaration the rule is: a newer one replaces it.
    declared: float
    #: It changes while a process declares the rule.
    renewed: float


_IS = schedules.c.name == bindparam("schedule")
_HAS_RULE = schedules.c.rule == bindparam("seen_rule")
_IS_AS_SEEN = and_(_IS, _HAS_RULE, schedules.c.next_due == bindparam("seen"))
_DECLARED: dict[str, Any] = {"declared": bindparam("began"), "renewed": bindparam("time")}
_MOVED: dict[str, Any] = {
    "next_due": bindparam("next"),
    "moved": bindparam("now"),
    "last_due": bindparam("last"),
}
_ALL = select(schedules).order_by(schedules.c.name)
_LATEST = select(func.max(schedules.c.renewed)).where(
    exists().where(owners.c.id != bindparam("holder"))
)
_INSERT = schedules.insert()
_RENEW = update(schedules).where(_IS, _HAS_RULE).values(_DECLARED)
_FIRE = update(schedules).where(_IS_AS_SEEN, schedules.c.paused == text("0")).values(_MOVED)
_SET = (
    update(schedules)
    .where(_IS_AS_SEEN)
    .values({**_MOVED, **_DECLARED, "rule": bindparam("new_rule")})
)
_PAUSE = update(schedules).where(_IS).values(paused=text("1"))
_RESUME = (
    update(schedules)
    .where(_IS, schedules.c.paused == text("1"))
    .values({**_MOVED, "paused": text("0")})
)
_DELETE = delete(schedules).where(_IS, schedules.c.renewed == bindparam("seen"))


class ScheduleTable:
    """Reads and changes the schedules. Each method is one transaction.

    Args:
        database: That of the ledger.
        note_settled: Called after a firing with what became of jobs that waited for others.
    """

    def __init__(
        self, database: Database, note_settled: Callable[[Settled], object] = bool
    ) -> None:
        self._database = database
        self._note_settled = note_settled

    def __repr__(self) -> str:
        return f"<ScheduleTable of {self._database.name}>"

    def rows(self) -> dict[str, ScheduleRow]:
        """Return all schedules by name."""
        with self._database.reading() as connection:
            found = self._database.run(connection, _ALL, [{}]).mappings().all()
        return {row["name"]: ScheduleRow(**{**row, "paused": bool(row["paused"])}) for row in found}

    def latest_renewal(self, owner: str) -> float | None:
        """Return when a schedule was last renewed, if there is a process beside an owner's."""
        with self._database.reading() as connection:
            latest: float | None = self._database.run(
                connection, _LATEST, [{"holder": owner}]
            ).scalar_one()
        return latest

    def add(self, row: ScheduleRow) -> bool:
        """Add a schedule; return whether there was none."""
        try:
            self._database.write_one(_INSERT, {**asdict(row), "paused": int(row.paused)})
        except LedgerError as error:
            if not is_conflict(error):
                raise
            return False
        return True

    def renew(self, rows: Sequence[ScheduleRow]) -> None:
        """Store when some schedules were renewed, and since when their rules are declared."""
        given = [_change(row, row) for row in sorted(rows, key=lambda row: row.name)]
        with self._database.writing() as connection:
            self._database.change(connection, _RENEW, given)

    def replace(self, seen: ScheduleRow, row: ScheduleRow) -> bool:
        """Set a schedule to a row, if it is as it was seen; return whether it is.

        Whether it is paused stays.
        """
        with self._database.writing() as connection:
            return self._database.run(connection, _SET, [_change(seen, row)]).rowcount == 1

    def pause(self, name: str) -> bool:
        """Have a schedule accept no jobs; return whether there is one."""
        with self._database.writing() as connection:
            return self._database.run(connection, _PAUSE, [{"schedule": name}]).rowcount == 1

    def resume(self, row: ScheduleRow) -> bool:
        """Have a paused schedule go on as a row says; return whether it was paused."""
        with self._database.writing() as connection:
            return self._database.run(connection, _RESUME, [_change(row, row)]).rowcount == 1

    def drop(self, seen: ScheduleRow) -> None:
        """Delete a schedule, unless it was renewed since it was seen."""
        with self._database.writing() as connection:
            row = {"schedule": seen.name, "seen": seen.renewed}
            self._database.change(connection, _DELETE, [row])

    def fire(
        self, seen: ScheduleRow, moved: ScheduleRow, jobs: Sequence[NewJob], describe: Describe
    ) -> BatchResult | None:
        """Accept the jobs of due times, and move the schedule past these.

        Args:
            seen: The schedule as it was seen.
            moved: The same with its next due time.
            jobs: The jobs.
            describe: Makes the body of the callback of a job that a new one replaces.

        Returns:
            What became of the jobs; None if another process was first, or the schedule is paused.
        """
        for _ in range(CONFLICTS):
            try:
                return self._fire(seen, moved, jobs, describe)
            except LedgerError as error:
                # Another process has just accepted a job with the same key.
                if not may_work_again(error):
                    raise
        return self._fire(seen, moved, jobs, describe)

    def _fire(
        self, seen: ScheduleRow, moved: ScheduleRow, jobs: Sequence[NewJob], describe: Describe
    ) -> BatchResult | None:
        with self._database.writing() as connection:
            if self._database.run(connection, _FIRE, [_change(seen, moved)]).rowcount != 1:
                return None
            # It counts the queue each time: a schedule is seldom due, and its limit is exact.
            batch, settled = write_with_effects(
                self._database, connection, jobs, QueueAllowance(), describe
            )
        self._note_settled(settled)
        return batch.result()


def _change(seen: ScheduleRow, row: ScheduleRow) -> RowValues:
    """Return the parameters that set a row, if it is due as it was seen."""
    return {
        "schedule": seen.name,
        "seen_rule": seen.rule,
        "seen": seen.next_due,
        "next": row.next_due,
        "now": row.moved,
        "last": row.last_due,
        "new_rule": row.rule,
        "began": row.declared,
        "time": row.renewed,
    }
