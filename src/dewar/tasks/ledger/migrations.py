"""The steps from the tables of one version of Dewar to those of the next.

Rules:

- A step only adds. During a deployment processes of the version before go on to read and write the
  same tables: a new column is nullable or has a default, and what they use stays.
- A step never changes once it was released. It is SQL that both databases know.
- All steps that are missing are done in the transaction that opens the ledger, under its lock. So
  they are done once, or not at all if the process dies.

A new ledger has all the tables of `dewar.tasks.ledger.schema` at once, and needs no step.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """The statements that lead to a number of the schema."""

    number: int
    statements: tuple[str, ...]


#: The number of the tables that were there before there were steps.
FIRST = 1

STEPS = (
    # Queues, priorities, limits and unique jobs. Of the older processes, none needs the index
    # dewar_jobs_waiting that is left, once they are gone; a later step may drop it.
    Step(
        2,
        (
            "ALTER TABLE dewar_jobs ADD COLUMN queue TEXT NOT NULL DEFAULT 'default'",
            "ALTER TABLE dewar_jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE dewar_jobs ADD COLUMN limited INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE dewar_jobs ADD COLUMN unique_key TEXT",
            """CREATE TABLE dewar_rates (task TEXT NOT NULL PRIMARY KEY,
            arrival DOUBLE PRECISION NOT NULL, ahead DOUBLE PRECISION NOT NULL)""",
            """CREATE INDEX dewar_jobs_claimable ON dewar_jobs (queue, priority, due, id, task)
            WHERE state = 'queued' AND owner IS NULL AND limited = 0""",
            """CREATE INDEX dewar_jobs_limited ON dewar_jobs (queue, task, priority, due, id)
            WHERE state = 'queued' AND owner IS NULL AND limited = 1""",
            """CREATE INDEX dewar_jobs_limited_active ON dewar_jobs (task)
            WHERE limited = 1 AND owner IS NOT NULL AND finished IS NULL""",
            """CREATE UNIQUE INDEX dewar_jobs_unique ON dewar_jobs (task, unique_key)
            WHERE finished IS NULL AND unique_key IS NOT NULL""",
        ),
    ),
    # Schedules.
    Step(
        3,
        (
            """CREATE TABLE dewar_schedules (name TEXT NOT NULL PRIMARY KEY, rule TEXT NOT NULL,
            next_due DOUBLE PRECISION NOT NULL, last_due DOUBLE PRECISION,
            moved DOUBLE PRECISION NOT NULL, paused INTEGER NOT NULL,
            declared DOUBLE PRECISION NOT NULL, renewed DOUBLE PRECISION NOT NULL)""",
        ),
    ),
    # Jobs that wait for others, and workflows.
    Step(
        4,
        (
            "ALTER TABLE dewar_jobs ADD COLUMN followed INTEGER NOT NULL DEFAULT 0",
            "ALTER TABLE dewar_jobs ADD COLUMN workflow TEXT",
            """CREATE TABLE dewar_dependencies (job_id TEXT NOT NULL, after_id TEXT NOT NULL,
            stops INTEGER NOT NULL, state TEXT NOT NULL, PRIMARY KEY (job_id, after_id))""",
            """CREATE TABLE dewar_workflows (id TEXT NOT NULL PRIMARY KEY,
            created DOUBLE PRECISION NOT NULL, ends TEXT NOT NULL)""",
            """CREATE INDEX dewar_jobs_workflow ON dewar_jobs (workflow, finished)
            WHERE workflow IS NOT NULL""",
            "CREATE INDEX dewar_dependencies_after ON dewar_dependencies (after_id)",
            """CREATE INDEX dewar_dependencies_open ON dewar_dependencies (job_id, after_id)
            WHERE state = 'open'""",
        ),
    ),
)

#: The number of the tables of `dewar.tasks.ledger.schema`.
LATEST = STEPS[-1].number


def missing_steps(schema: int) -> Sequence[Step]:
    """Return the steps from a number of the schema on; none for that of a newer Dewar."""
    return [step for step in STEPS if step.number > schema]
