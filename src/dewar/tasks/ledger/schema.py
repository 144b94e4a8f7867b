"""The tables of the ledger, the same on SQLite and PostgreSQL.

Two rules:

- Ended jobs slow nothing down: each index on ``jobs`` except its key is partial, mostly over jobs
  that have not ended. A job has ended if and only if ``finished`` is set. To use such an index, a
  query states its condition with the literals used here: with a bound parameter no planner can
  know that the index applies.
- Columns are text, integers and doubles, which both databases store unchanged. A flag is 0 or 1.
  Times are seconds since the epoch, given by the caller: the ledger reads no clock. The column
  ``due`` may be shifted: see `dewar.tasks.ledger.due_column`.

The names begin with ``dewar_``, because a PostgreSQL database may have tables of the app too.
"""

from sqlalchemy import Column, Double, Index, Integer, MetaData, Table, Text, text

#: The oldest Dewar that can use the tables, by the version that it knows. It grows only if an older
#: one would do harm, because a deployment has processes of two versions at work for some time.
VERSION = 1

metadata = MetaData()

#: Two rows: "version", which is `VERSION`, and "schema", the last step of
#: `dewar.tasks.ledger.migrations` that is done; without it only the first is.
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
    # What has a default on the server was added later: an older process leaves it out.
    Column("queue", Text, nullable=False, server_default="default"),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("limited", Integer, nullable=False, server_default=text("0")),
    Column("unique_key", Text),
    # Whether a job waits for its end, or has waited.
    Column("followed", Integer, nullable=False, server_default=text("0")),
    Column("workflow", Text),
)

#: The columns that most jobs have at their defaults.
PLACEMENT = ("queue", "priority", "limited", "unique_key", "followed", "workflow")

#: Which jobs wait for which others, and what has become of these.
dependencies = Table(
    "dewar_dependencies",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("after_id", Text, primary_key=True),
    #: Whether the job does not run if the other one does not end well.
    Column("stops", Integer, nullable=False),
    #: open, met or failed.
    Column("state", Text, nullable=False),
)

#: The workflows. Their jobs have their ids in the column ``workflow``.
workflows = Table(
    "dewar_workflows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created", Double, nullable=False),
    #: The ids of the jobs whose results are that of the workflow, as JSON: one, or a list.
    Column("ends", Text, nullable=False),
)

#: When each task with a rate may run next; see `dewar.tasks.limits`.
rates = Table(
    "dewar_rates",
    metadata,
    Column("task", Text, primary_key=True),
    Column("arrival", Double, nullable=False),
    Column("ahead", Double, nullable=False),
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

#: The schedules, one for each task that has one; see `dewar.tasks.ledger.schedule_table`.
schedules = Table(
    "dewar_schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("next_due", Double, nullable=False),
    Column("last_due", Double),
    Column("moved", Double, nullable=False),
    Column("paused", Integer, nullable=False),
    Column("declared", Double, nullable=False),
    Column("renewed", Double, nullable=False),
)


def _partial(name: str, where: str, *columns: Column[object], unique: bool = False) -> Index:
    """Index only the rows that meet a condition."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


#: Jobs to claim, in their levels (see `dewar.tasks.ledger.claim_plan`), the oldest due first; with
#: the task, so that only matching rows are read. Those of tasks with limits are apart, by task.
_partial(
    "dewar_jobs_claimable",
    "state = 'queued' AND owner IS NULL AND limited = 0",
    jobs.c.queue,
    jobs.c.priority,
    jobs.c.due,
    jobs.c.id,
    jobs.c.task,
)
_partial(
    "dewar_jobs_limited",
    "state = 'queued' AND owner IS NULL AND limited = 1",
    jobs.c.queue,
    jobs.c.task,
    jobs.c.priority,
    jobs.c.due,
    jobs.c.id,
)
#: The jobs of a task with limits that are claimed or run.
_partial(
    "dewar_jobs_limited_active",
    "limited = 1 AND owner IS NOT NULL AND finished IS NULL",
    jobs.c.task,
)
#: Of the jobs of a task with the same key, one at most has not ended.
_partial(
    "dewar_jobs_unique",
    "finished IS NULL AND unique_key IS NOT NULL",
    jobs.c.task,
    jobs.c.unique_key,
    unique=True,
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
#: The jobs of a workflow, and those that have not ended or ended last.
_partial("dewar_jobs_workflow", "workflow IS NOT NULL", jobs.c.workflow, jobs.c.finished)
#: The jobs that wait for a job.
Index("dewar_dependencies_after", dependencies.c.after_id)
#: What a job still waits for.
_partial(
    "dewar_dependencies_open", "state = 'open'", dependencies.c.job_id, dependencies.c.after_id
)
#: Callbacks to send, the oldest due first.
_partial("dewar_deliveries_pending", "state = 'pending'", deliveries.c.due)
#: A job is purged only if its callback is no longer pending.
Index("dewar_deliveries_of_job", deliveries.c.job_id)
