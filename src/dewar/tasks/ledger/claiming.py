"""`JobClaims`: claims waiting jobs for one process, within the limits of their tasks."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from sqlalchemy import Connection, Row

from dewar.tasks.ledger import claim_statements as sql
from dewar.tasks.ledger.claim_plan import Level, Plan, Take, Turns, plan_claim
from dewar.tasks.ledger.columns import RowValues
from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.due_column import due_of, end_of, shift_of
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.ledger.rows import record_of
from dewar.tasks.limits import NO_LIMITS, TaskLimits


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRules:
    """What a process claims, beside the tasks that it has.

    Attributes:
        queues: The queues that it serves; None for all.
        limits: The limits of the tasks that have any.
    """

    queues: Sequence[str] | None = None
    limits: Mapping[str, TaskLimits] = field(default_factory=dict)


#: All queues, and no limits.
ANY_JOB = ClaimRules()


@dataclass(frozen=True, slots=True)
class Outlook:
    """When there will be a job to claim.

    Attributes:
        next_due: In seconds since the epoch; infinite if no job waits.
        is_blocked: Whether a job waits until another of its task has ended.
    """

    next_due: float
    is_blocked: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """A level, and when its first job may be claimed: infinite if others have to end first."""

    level: Level
    free_at: float


class JobClaims:
    """Claims jobs. Any thread may call any method.

    Args:
        database: The database of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turns = Turns()

    def __repr__(self) -> str:
        return f"<JobClaims {self._turns!r}>"

    def claim(
        self, owner: str, most: int, now: float, tasks: Collection[str], rules: ClaimRules
    ) -> list[JobRecord]:
        """Claim jobs; see `dewar.tasks.ledger.ledger.Ledger.claim`."""
        tasks = frozenset(tasks)  # another thread may declare one
        found = self._levels(tasks, rules)
        levels = [one.level for one in found if one.free_at <= now]
        if not levels:
            # Most calls find nothing, and need no lock.
            return []
        given = {"holder": owner, "tasks": _unlimited(tasks, rules)}
        with self._database.writing() as connection:
            limited = _lock_tasks(self._database, connection, levels, rules, now)
            allowed = {
                task: one.allowed for task, one in limited.items() if one.allowed is not None
            }
            plan = plan_claim(levels, most, allowed, self._turns)
            rows = _carry_out(connection, plan, given, now)
            _note_arrivals(connection, limited, rows, now)
        claimed = (record_of(row) for row in rows)
        return sorted(claimed, key=lambda job: (-job.priority, job.due, job.id))

    def outlook(self, tasks: Collection[str], rules: ClaimRules) -> Outlook:
        """Return when there is a job to claim; see `dewar.tasks.ledger.ledger.Ledger.outlook`."""
        found = [one.free_at for one in self._levels(frozenset(tasks), rules)]
        return Outlook(min(found, default=inf), inf in found)

    def _levels(self, tasks: Collection[str], rules: ClaimRules) -> list[_Found]:
        """Return the levels that have jobs of some tasks."""
        queues = rules.queues
        given: RowValues = {f"queue_{number}": queue for number, queue in enumerate(queues or ())}
        statement = sql.levels_of(None if queues is None else len(queues))
        with self._database.reading() as connection:
            # PERF: compiled once; it is most of what a look costs that finds nothing.
            rows = self._database.run(connection, statement, [given]).all()
            found: list[_Found] = []
            for row in rows:
                if row.limited and row.task in tasks:
                    found.append(_found_limited(row, rules))
                elif not row.limited and row.task in tasks and row.task not in rules.limits:
                    due = due_of(row.due)
                    found.append(_Found(Level(row.queue, row.priority, due), due))
                elif not row.limited:
                    found += _found_alone(connection, row, _unlimited(tasks, rules))
        return found


def _found_limited(row: Row[Any], rules: ClaimRules) -> _Found:
    due, limits = due_of(row.due), rules.limits.get(row.task, NO_LIMITS)
    free_at = limits.free_at(due, row.running, row.arrival)
    return _Found(Level(row.queue, row.priority, due, row.task, limited=True), free_at)


def _found_alone(connection: Connection, row: Row[Any], tasks: Sequence[str]) -> Iterator[_Found]:
    """Yield a level for each task, because the first job is of a task that this process lacks.

    PERF: there may be any number of such jobs, if a task was renamed or apps share a ledger.
    """
    for task in connection.execute(sql.PRESENT_TASKS, {"tasks": tasks}).scalars().all():
        wanted = {
            "of_queue": row.queue,
            "of_priority": row.priority,
            "of_task": task,
            "end": end_of(row.queue),
        }
        first = connection.execute(sql.FIRST_OF_TASK, wanted).scalar_one_or_none()
        if first is not None:
            due = due_of(first)
            yield _Found(Level(row.queue, row.priority, due, task), due)


def _unlimited(tasks: Collection[str], rules: ClaimRules) -> list[str]:
    return [name for name in tasks if name not in rules.limits]


def mark_limited(database: Database, tasks: Iterable[str]) -> int:
    """Mark the jobs of tasks that were accepted before these had limits; return their number.

    Until then a process that knows of the limits does not claim them, and does not count them.
    """
    names = sorted(tasks)
    with database.reading() as connection:
        unmarked = [
            name
            for name in names
            if any(
                connection.execute(statement, {"of_task": name}).first() is not None
                for statement in sql.UNMARKED
            )
        ]
    if not unmarked:
        return 0
    with database.writing() as connection:
        return sum(
            connection.execute(statement, {"of_task": name}).rowcount
            for name in unmarked
            for statement in sql.MARK
        )


@dataclass(frozen=True, slots=True)
class _Limited:
    """A task with limits, in the transaction in which they hold."""

    limits: TaskLimits
    arrival: float
    #: How many of its jobs may be claimed now; None for any number.
    allowed: int | None


def _lock_tasks(
    database: Database,
    connection: Connection,
    levels: Sequence[Level],
    rules: ClaimRules,
    now: float,
) -> dict[str, _Limited]:
    """Keep others from claiming jobs of the levels' tasks that have limits; return these tasks."""
    found: dict[str, _Limited] = {}
    # In order, so that no two processes wait for each other.
    for name in sorted(
        {one.task for one in levels if one.task is not None and one.task in rules.limits}
    ):
        database.advisory_lock(connection, f"limits {name}")
        of_task, limits = {"of_task": name}, rules.limits[name]
        running = connection.execute(sql.RUNNING, of_task).scalar_one()
        arrival = connection.execute(sql.ARRIVAL, of_task).scalar_one_or_none() or 0.0
        found[name] = _Limited(limits, arrival, limits.allowed(running, arrival, now))
    return found


def _carry_out(
    connection: Connection, plan: Plan, given: Mapping[str, object], now: float
) -> list[Row[Any]]:
    """Claim what a plan yields."""
    rows: list[Row[Any]] = []
    take = next(plan, None)
    while take is not None:
        found = _take(connection, take, given, now)
        rows += found
        try:
            take = plan.send(len(found))
        except StopIteration:
            take = None
    return rows


def _take(
    connection: Connection, take: Take, given: Mapping[str, object], now: float
) -> Sequence[Row[Any]]:
    level = take.level
    wanted = {
        "holder": given["holder"],
        "of_queue": level.queue,
        "of_priority": level.priority,
        "until": now + shift_of(level.queue, limited=level.limited),
        "most": take.count,
    }
    if level.task is None:
        return connection.execute(sql.CLAIM, {**wanted, "tasks": given["tasks"]}).all()
    statement = sql.CLAIM_LIMITED if level.limited else sql.CLAIM_ALONE
    return connection.execute(statement, {**wanted, "of_task": level.task}).all()


def _note_arrivals(
    connection: Connection, limited: Mapping[str, _Limited], rows: Sequence[Row[Any]], now: float
) -> None:
    """Write when the next jobs may be claimed of tasks of which some were."""
    for name, one in limited.items():
        count = sum(row.task == name for row in rows)
        rate = one.limits.rate
        if rate is None or not count:
            continue
        next_arrival = rate.after(one.arrival, now, count)
        given = {"of_task": name, "next": next_arrival, "most_ahead": rate.ahead}
        if connection.execute(sql.SET_ARRIVAL, given).rowcount == 0:
            connection.execute(sql.ADD_ARRIVAL, given)
