"""The tables of the ledger, the same on SQLite and PostgreSQL.

Two rules:

- Ended jobs slow nothing down: each index on ``jobs`` except its key is partial, mostly over jobs
  that have not ended. A job has ended if and only if ``finished`` is set. To use such an index, a
  query states its condition with the literals used here: with a bound parameter no planner can
  know that the index applies.
- Columns are text, integers and doubles, which both databases store unchanged. A flag is 0 or 1.
  Times are seconds since the epoch, given by the caller: the ledger reads no clock.

The names begin with ``dewar_``, because a PostgreSQL database may have tables of the app too.
"""

from sqlalchemy import Column, Double, Index, Integer, MetaData, Table, Text, text

#: The version of the tables. A newer Dewar has made a ledger with a higher one.
VERSION = 1

metadata = MetaData()

#: One row, ``("version", "1")``.
meta = Table(
    "dewar_meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

#: The fields of `dewar.tasks.ledger.records.JobRecord`, and whether the job has to stop.
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

#: The processes that have jobs, each with a lease to renew.
owners = Table(
    "dewar_owners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Double, nullable=False),
    Column("lease_until", Double, nullable=False),
)

#: The outbox: one row for each callback, written in the transaction of the job's outcome.
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

#: The URLs that are disabled, because their receiver answered 410 Gone.
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


#: Jobs to claim, the oldest due first; with the task, so that only matching rows are read.
_partial(
    "dewar_jobs_waiting", "state = 'queued' AND owner IS NULL", jobs.c.due, jobs.c.id, jobs.c.task
)
#: The waiting jobs of a task, to be counted up to a time.
_partial("dewar_jobs_queued", "state = 'queued'", jobs.c.task, jobs.c.due)
#: The jobs of a process, and all that have not ended.
_partial("dewar_jobs_active", "finished IS NULL", jobs.c.owner)
#: The jobs that a process has to stop.
_partial("dewar_jobs_stopping", "stop_requested = 1", jobs.c.owner)
#: Jobs that did not end well, which are few and often listed.
_partial(
    "dewar_jobs_ended_badly", "state IN ('cancelled', 'failed', 'lost')", jobs.c.state, jobs.c.id
)
#: Callbacks to send, the oldest due first.
_partial("dewar_deliveries_pending", "state = 'pending'", deliveries.c.due)
#: A job is purged only if its callback is no longer pending.
Index("dewar_deliveries_of_job", deliveries.c.job_id)
