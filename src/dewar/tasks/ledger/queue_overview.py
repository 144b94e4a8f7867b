"""`read_queues`: how many jobs wait and run in each queue, by task.

Only jobs that have not ended are read. PERF: a million of them take one or two seconds, so who asks
again and again takes the time into account; see `dewar.tasks.runtime.queue_metrics`.
"""

from sqlalchemy import bindparam, case, func, select, text

from dewar.tasks.ledger.database import Database
from dewar.tasks.ledger.due_column import SHIFT
from dewar.tasks.ledger.records import QueueOverview
from dewar.tasks.ledger.schema import jobs

#: The first second after the calendar. A job that is due then waits for something else than a time.
_NEVER = 253_402_300_800.0


_DUE = jobs.c.due - SHIFT
_NOW = bindparam("now", type_=jobs.c.due.type)
_IS_DUE = _DUE <= _NOW
_WAITING = (
    select(
        jobs.c.queue,
        jobs.c.task,
        func.sum(case((_IS_DUE, 1), else_=0)).label("waiting"),
        func.count().label("all"),
        func.min(case((_IS_DUE, _DUE))).label("oldest"),
        func.min(case((_DUE.between(_NOW, _NEVER), _DUE))).label("next"),
    )
    .where(text("state = 'queued'"))
    .group_by(jobs.c.queue, jobs.c.task)
)
#: Whoever runs a job owns it, so the index of owners has it.
_RUNNING = (
    select(jobs.c.queue, jobs.c.task, func.count().label("running"))
    .where(text("finished IS NULL"), jobs.c.owner.is_not(None), text("state = 'running'"))
    .group_by(jobs.c.queue, jobs.c.task)
)


def read_queues(database: Database, now: float) -> list[QueueOverview]:
    """Return what each queue has, by queue and task.

    Args:
        database: The ledger's.
        now: In seconds since the epoch.

    Raises:
        LedgerError: If the database fails.
    """
    with database.reading() as connection:
        waiting = {row[:2]: row for row in connection.execute(_WAITING, {"now": now})}
        running = {row[:2]: row.running for row in connection.execute(_RUNNING)}
    found = []
    for key in sorted({*waiting, *running}):
        row = waiting.get(key)
        due = 0 if row is None else row.waiting
        found.append(
            QueueOverview(
                queue=key[0],
                task=key[1],
                waiting=due,
                later=0 if row is None else row.all - due,
                running=running.get(key, 0),
                oldest_due=None if row is None else row.oldest,
                next_due=None if row is None else row.next,
            )
        )
    return found
