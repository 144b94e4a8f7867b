"""The SQL with which jobs are claimed.

PERF: no statement reads more waiting jobs than it returns, however many there are. What exists is
found by steps from one entry of an index to the next different one (a *loose index scan*): queues,
their priorities, and the first job of each. Only what lies between the jobs of this process is read
past: jobs of tasks that it does not have.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    TextClause,
    Update,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)

from dewar.tasks.ledger.due_column import IS_UNLIMITED, TO_LIMITED
from dewar.tasks.ledger.schema import jobs, rates

# As in the partial indexes of `dewar.tasks.ledger.schema`.
_PLAIN = "state = 'queued' AND owner IS NULL AND limited = 0"
_LIMITED = "state = 'queued' AND owner IS NULL AND limited = 1"
_QUEUED = "state = 'queued'"
_ACTIVE = "limited = 1 AND owner IS NOT NULL AND finished IS NULL"

# Of each kind, the columns of its index. With this order, no planner reads more than the first row,
# as PostgreSQL does for ``min()`` in an index that it takes for a small one.
_ORDERS = {
    _PLAIN: "queue, priority, due, id",
    _LIMITED: "queue, task, priority, due, id",
    _QUEUED: "task, due",
}


def _first(column: str, kind: str, *conditions: str) -> str:
    """Return a column of the first waiting job that meets some conditions."""
    where = " AND ".join([kind, *conditions])
    rows = f"FROM dewar_jobs AS j WHERE {where} ORDER BY {_ORDERS[kind]} LIMIT 1"
    return f"(SELECT {column} {rows})"


def _steps(given: str, name: str, column: str, kind: str) -> str:
    """Return a recursive table: another one, with each value that a further column has.

    Args:
        given: The other table, and its columns after it; empty for none.
        name: The name of the new one.
        column: The further column.
        kind: The kind of jobs.
    """
    table, *columns = given.split() or [""]
    kept = "".join(f"{one}, " for one in columns)
    first = _first(column, kind, *(f"j.{one} = {table}.{one}" for one in columns))
    same = [f"j.{one} = {name}.{one}" for one in columns]
    following = _first(column, kind, *same, f"j.{column} > {name}.{column}")
    source = f" FROM {table} WHERE {columns[-1]} IS NOT NULL" if columns else ""
    start = f"SELECT {kept}{first}{source}"
    step = f"SELECT {kept}{following} FROM {name} WHERE {column} IS NOT NULL"  # noqa: S608  # as above
    return f"{name}({kept}{column}) AS ({start} UNION ALL {step})"


_OF_LEVEL = ("j.queue = levels.queue", "j.priority = levels.priority")
_OF_LIMITED_LEVEL = (
    "j.queue = limited_levels.queue",
    "j.task = limited_levels.task",
    "j.priority = limited_levels.priority",
)
_LEVELS = f"""WITH RECURSIVE {{queues}},
{_steps("queues queue", "levels", "priority", _PLAIN)},
{{limited_queues}},
{_steps("limited_queues queue", "queue_tasks", "task", _LIMITED)},
{_steps("queue_tasks queue task", "limited_levels", "priority", _LIMITED)}
SELECT queue, priority, {_first("task", _PLAIN, *_OF_LEVEL)} AS task,
  {_first("due", _PLAIN, *_OF_LEVEL)} AS due, 0 AS limited, 0 AS running, 0.0 AS arrival
FROM levels WHERE priority IS NOT NULL
UNION ALL
SELECT queue, priority, task, {_first("due", _LIMITED, *_OF_LIMITED_LEVEL)}, 1,
  (SELECT count(*) FROM dewar_jobs AS j WHERE {_ACTIVE} AND j.task = limited_levels.task),
  coalesce((SELECT arrival FROM dewar_rates AS r WHERE r.task = limited_levels.task), 0.0)
FROM limited_levels WHERE priority IS NOT NULL
"""  # noqa: S608  # of constants


@cache
def levels_of(count: int | None) -> TextClause:
    """Return the statement that finds the levels of waiting jobs, and the first job of each.

    Args:
        count: How many queues count, which are the parameters ``queue_0`` and so on; None for all.
    """
    names = [f"queue_{number}" for number in range(count or 0)]
    given = " UNION ".join(f"SELECT CAST(:{name} AS TEXT)" for name in names)
    tables = {
        name: f"{name}(queue) AS ({given})" if given else _steps("", name, "queue", kind)
        for name, kind in (("queues", _PLAIN), ("limited_queues", _LIMITED))
    }
    return text(_LEVELS.format(**tables))


# An expression, so that no planner finds jobs by their task and then has to sort them by time.
_OF_TASKS = jobs.c.task.concat(literal_column("''")).in_(bindparam("tasks", expanding=True))
_OF_TASK = jobs.c.task == bindparam("of_task")


# Of one task in one level, by the index of its task: for expressions no planner takes another one.
_ALONE = (
    text(_QUEUED),
    _OF_TASK,
    text("owner IS NULL AND limited = 0"),
    jobs.c.queue.concat(literal_column("''")) == bindparam("of_queue"),
    jobs.c.priority + literal_column("0") == bindparam("of_priority"),
)


def _claim(*conditions: ColumnElement[bool] | TextClause, order: Sequence[Any]) -> Update:
    claimable = (
        select(jobs.c.id)
        .where(*conditions, jobs.c.due <= bindparam("until"))
        .order_by(*order)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
        .correlate(None)
    )
    return (
        update(jobs)
        .where(jobs.c.id.in_(claimable))
        .values(owner=bindparam("holder"))
        .returning(*jobs.c)
    )


_IN_LEVEL = (
    jobs.c.queue == bindparam("of_queue"),
    jobs.c.priority == bindparam("of_priority"),
)
_IN_ORDER = (jobs.c.due, jobs.c.id)
#: Claim the first jobs of a level: of any task without limits, of one with limits, and of one among
#: jobs that this process does not know.
CLAIM = _claim(text(_PLAIN), *_IN_LEVEL, _OF_TASKS, order=_IN_ORDER)
CLAIM_LIMITED = _claim(text(_LIMITED), *_IN_LEVEL, _OF_TASK, order=_IN_ORDER)
CLAIM_ALONE = _claim(*_ALONE, order=[jobs.c.due])

#: When the first job of one task is due in a level, past those of all other tasks.
#: PERF: the times of a queue end where those with a further shift begin. So no job of the task is
#: read that is in another queue, if this is the default one.
FIRST_OF_TASK = (
    select(jobs.c.due).where(*_ALONE, jobs.c.due < bindparam("end")).order_by(jobs.c.due).limit(1)
)
#: How many jobs of a task with limits are claimed or run, and when its next one may.
RUNNING = select(func.count()).select_from(jobs).where(text(_ACTIVE), _OF_TASK)
ARRIVAL = select(rates.c.arrival).where(rates.c.task == bindparam("of_task"))
SET_ARRIVAL = (
    update(rates)
    .where(rates.c.task == bindparam("of_task"))
    .values(arrival=bindparam("next"), ahead=bindparam("most_ahead"))
)
ADD_ARRIVAL = rates.insert().values(
    task=bindparam("of_task"), arrival=bindparam("next"), ahead=bindparam("most_ahead")
)
#: A clock that was set back left arrivals in the future. None may be further than after a job now.
BRING_ARRIVALS_FORWARD = (
    update(rates)
    .where(rates.c.arrival > bindparam("now") + rates.c.ahead)
    .values(arrival=bindparam("now") + rates.c.ahead)
)

# The jobs of a task that were accepted before it had limits: those that wait, found by the shift of
# their time, and those that run.
_UNMARKED_QUEUED = (text("state = 'queued'"), jobs.c.task == bindparam("of_task"), IS_UNLIMITED)
_UNMARKED_RUNNING = (
    text("finished IS NULL AND owner > ''"),
    text("limited = 0"),
    jobs.c.task.concat(literal_column("''")) == bindparam("of_task"),
)
_MARKS = {"limited": 1, "due": jobs.c.due + TO_LIMITED}
#: Whether a task has such jobs.
UNMARKED = tuple(
    select(jobs.c.id).where(*where).limit(1) for where in (_UNMARKED_QUEUED, _UNMARKED_RUNNING)
)
MARK = tuple(
    update(jobs).where(*where).values(_MARKS) for where in (_UNMARKED_QUEUED, _UNMARKED_RUNNING)
)

_NAMES = f"""WITH RECURSIVE {_steps("", "names", "task", _QUEUED)}
SELECT task FROM names WHERE task IS NOT NULL AND task"""  # noqa: S608  # of constants
_TASKS = bindparam("tasks", type_=Text, expanding=True)
#: The tasks of the waiting jobs that are among some tasks, and those that are not.
PRESENT_TASKS = text(f"{_NAMES} IN :tasks").bindparams(_TASKS)
OTHER_TASKS = text(f"{_NAMES} NOT IN :tasks").bindparams(_TASKS)
