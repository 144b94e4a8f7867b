"""The tables of the ledger, the same on SQLite and PostgreSQL.

Two rules:

- Jobs that have ended slow nothing: each index on ``jobs`` but its key is partial, over what still
  moves. A job has ended exactly where ``finished`` is set. A query that shall use such an index
  says its condition with literals, as written here: with a bound parameter no planner can know
  that the index suffices.
- Columns are text, integers and doubles, which both databases take and give as they are. A flag is
  0 or 1. Times are seconds since the epoch, and come from the caller: the ledger reads no clock.

The names begin with ``dewar_``, because a PostgreSQL database may hold an app's own tables too.
"""

from sqlalchemy import Column, Double, Index, Integer, MetaData, Table, Text, text

#: Of the tables as a whole; a ledger with a higher one was made by a later Dewar.
VERSION = 1

metadata = MetaData()

#: One row, ``("version", "1")``.
meta = Table(
    "dewar_meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

#: What `dewar.tasks.ledger.records.JobRecord` shows, and whether the job shall stop.
jobs = Table(
    "dewar_jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("task", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("context", Text),
    Column("owner", Text),
    Column("attempts", Integer, nullable=False),
    Column("idempotent", Integer, nullable=False),
    Column("stop_requested", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("due", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("fraction", Double),
    Column("message", Text),
    Column("result", Text),
    Column("error", Text),
    Column("callback", Text),
)

#: The processes that have jobs, each with a lease that it must renew.
owners = Table(
    "dewar_owners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
)

#: The outbox: one row for each callback to be made, written with the outcome it tells.
deliveries = Table(
    "dewar_deliveries",
    metadata,
    #: The ``webhook-id``, the same for every attempt.
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("due", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    #: pending, delivered, failed or disabled.
    Column("state", Text, nullable=False),
    Column("owner", Text),
    Column("lease_until", Double),
    Column("last_status", Integer),
    Column("last_error", Text),
)

#: Where nothing is posted any more, because the receiver said 410 Gone.
disabled_urls = Table(
    "dewar_disabled_urls",
    metadata,
    Column("url", Text, primary_key=True),
    Column("since", Double, nullable=False),
)


def _partial(name: str, where: str, *columns: Column[object]) -> Index:
    """Index only the rows that meet a condition."""
    condition = text(where)
    return Index(name, *columns, sqlite_where=condition, postgresql_where=condition)


#: What may be claimed, the oldest due first; with the task, so that no row is read in vain.
_partial(
    "dewar_jobs_waiting", "state = 'queued' AND owner IS NULL", jobs.c.due, jobs.c.id, jobs.c.task
)
#: How many jobs of a task wait.
_partial("dewar_jobs_queued", "state = 'queued'", jobs.c.task)
#: What a process has, and all that still moves.
_partial("dewar_jobs_active", "finished IS NULL", jobs.c.owner)
#: What a process shall stop.
_partial("dewar_jobs_stopping", "stop_requested = 1", jobs.c.owner)
#: What ended otherwise than well: these are few, and looked for.
_partial(
    "dewar_jobs_ended_badly", "state IN ('cancelled', 'failed', 'lost')", jobs.c.state, jobs.c.id
)
#: What is to be posted, the oldest due first.
_partial("dewar_deliveries_pending", "state = 'pending'", deliveries.c.due)
#: Before a job is purged it is asked whether its callback is still to be made.
Index("dewar_deliveries_of_job", deliveries.c.job_id)
