"""The SQL for jobs that wait for others."""

from typing import Any

from sqlalchemy import (
    BindParameter,
    Text,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)

from dewar.tasks.errors import DependencyFailed
from dewar.tasks.ledger.due_column import IS_BLOCKED, TO_BLOCKED, TO_RELEASED
from dewar.tasks.ledger.schema import dependencies, jobs, workflows

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_IS_QUEUED = text("state = 'queued'")
_IS_OPEN = text("dewar_dependencies.state = 'open'")
_AFTER_THESE = dependencies.c.after_id.in_(_IDS)
_WAITS_FOR = exists().where(_IS_OPEN, dependencies.c.job_id == jobs.c.id)
_HAS_FAILED = exists().where(
    dependencies.c.job_id == jobs.c.id, text("dewar_dependencies.state = 'failed'")
)

#: Note how jobs have ended, for those that wait for them.
_MARK = update(dependencies).where(_AFTER_THESE, _IS_OPEN)
MET = _MARK.values(state="met").returning(dependencies.c.job_id)
FAILED = _MARK.values(state="failed").returning(
    dependencies.c.job_id, dependencies.c.after_id, dependencies.c.stops
)

_ids = bindparam("ids", type_=Text, expanding=True)
#: Which job stops which, from some that have ended on, by the name of the database. Each row is
#: there once, however many ways lead to it.
#: PERF: PostgreSQL cannot know how many rows are open, and would compare each row that it has found
#: with all of them: minutes for a workflow of 10,000 jobs. So it is left only the index of what is
#: waited for.
STOPPED_BY = {
    "sqlite": text("""WITH RECURSIVE stopped(job_id, after_id) AS (
  SELECT job_id, after_id FROM dewar_dependencies
  WHERE after_id IN :ids AND state = 'open' AND stops = 1
UNION
  SELECT d.job_id, d.after_id FROM dewar_dependencies AS d JOIN stopped AS s
  ON d.after_id = s.job_id WHERE d.state = 'open' AND d.stops = 1)
SELECT job_id, after_id FROM stopped""").bindparams(_ids),
    "postgresql": text("""WITH RECURSIVE stopped(job_id, after_id) AS (
  SELECT job_id, after_id FROM dewar_dependencies
  WHERE after_id IN :ids AND state || '' = 'open' AND stops = 1
UNION
  SELECT d.job_id, d.after_id FROM (SELECT DISTINCT job_id FROM stopped) AS s CROSS JOIN LATERAL (
    SELECT job_id, after_id FROM dewar_dependencies
    WHERE after_id = s.job_id AND state || '' = 'open' AND stops = 1 OFFSET 0) AS d)
SELECT job_id, after_id FROM stopped""").bindparams(_ids),
}

#: Jobs that wait, locked in order, as `dewar.tasks.ledger.statements.SNAPSHOTS` are.
BLOCKED = (
    select(jobs.c.id, jobs.c.callback)
    .where(jobs.c.id.in_(_IDS), _IS_QUEUED, IS_BLOCKED)
    .order_by(jobs.c.id)
    .with_for_update()
)
#: The errors of those of some jobs that were stopped.
REASONS = select(jobs.c.id, jobs.c.error).where(
    jobs.c.id.in_(_IDS), jobs.c.error.contains(f":{DependencyFailed.__name__}")
)
STOP_BLOCKED = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(state="cancelled", finished=bindparam("now"), error=bindparam("reason"))
)
#: Let jobs be claimed that wait for nothing any more. They are locked before, in a statement of its
#: own: this one sees what was committed while that one waited.
RELEASE_BLOCKED = (
    update(jobs)
    .where(jobs.c.id.in_(_IDS), _IS_QUEUED, IS_BLOCKED, ~_WAITS_FOR)
    .values(due=TO_RELEASED)
    .returning(jobs.c.id)
)

#: For a retry by hand: a job waits again for what has not ended, and so do those that it stopped.
BLOCK_AGAIN = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"), _IS_QUEUED, ~IS_BLOCKED, _WAITS_FOR)
    .values(due=TO_BLOCKED)
)
_STOPPED = (text("dewar_jobs.state = 'cancelled'"), jobs.c.error.is_not(None), IS_BLOCKED)
OPEN_AGAIN = (
    update(dependencies)
    .where(
        _AFTER_THESE,
        text("dewar_dependencies.state = 'failed' AND stops = 1"),
        dependencies.c.job_id.in_(select(jobs.c.id).where(*_STOPPED)),
    )
    .values(state="open")
    .returning(dependencies.c.job_id)
)
_other = jobs.alias()
_IS_TAKEN = exists().where(
    _other.c.task == jobs.c.task,
    _other.c.unique_key == jobs.c.unique_key,
    _other.c.finished.is_(None),
)
#: Those that may wait again, by age, with their keys; not if another job has the key by now.
MAY_WAIT_AGAIN = (
    select(jobs.c.id, jobs.c.task, jobs.c.unique_key)
    .where(jobs.c.id.in_(_IDS), *_STOPPED, ~_HAS_FAILED, ~_IS_TAKEN)
    .order_by(jobs.c.id)
)
WAIT_AGAIN = (
    update(jobs)
    .where(jobs.c.id.in_(_IDS))
    .values(state="queued", finished=None, error=None)
    .returning(jobs.c.id)
)

_PAIR = tuple_(dependencies.c.job_id, dependencies.c.after_id)
_SEEN = tuple_(bindparam("of_job", type_=Text), bindparam("of_after", type_=Text))
#: What is waited for, some rows from one on, and whether it has ended: an older process that ends a
#: job knows nothing of those that wait for it.
OPEN_ONES = (
    select(
        dependencies.c.job_id,
        dependencies.c.after_id,
        (jobs.c.id.is_(None) | jobs.c.finished.is_not(None)).label("has_ended"),
    )
    .select_from(dependencies.outerjoin(jobs, jobs.c.id == dependencies.c.after_id))
    .where(_IS_OPEN, _PAIR > _SEEN)
    .order_by(dependencies.c.job_id, dependencies.c.after_id)
    .limit(bindparam("most"))
)

WORKFLOW = select(workflows).where(workflows.c.id == bindparam("of_workflow"))
STATES = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(_IDS))
#: The numbers of a workflow's jobs by state, and how far the running ones are together.
WORKFLOW_COUNTS = (
    select(
        jobs.c.state,
        func.count().label("number"),
        func.sum(func.coalesce(jobs.c.fraction, literal_column("0.0"))).label("fractions"),
        func.min(jobs.c.started).label("started"),
        func.max(jobs.c.finished).label("finished"),
    )
    .where(text("workflow IS NOT NULL"), jobs.c.workflow == bindparam("of_workflow"))
    .group_by(jobs.c.state)
)
_OF_WORKFLOW = (text("workflow IS NOT NULL"), jobs.c.workflow == bindparam("of_workflow"))
WORKFLOW_JOBS = select(jobs).where(*_OF_WORKFLOW).order_by(jobs.c.id)
#: The job of a workflow that failed first.
WORKFLOW_FAILURE = (
    select(jobs)
    .where(*_OF_WORKFLOW, text("state IN ('failed', 'lost')"))
    .order_by(jobs.c.finished, jobs.c.id)
    .limit(1)
)
WORKFLOW_WAITING = (
    select(jobs.c.id)
    .where(*_OF_WORKFLOW, text("finished IS NULL"), _IS_QUEUED)
    .order_by(jobs.c.id)
    .with_for_update()
)
WORKFLOW_RUNNING = select(jobs.c.id).where(
    *_OF_WORKFLOW, text("finished IS NULL"), text("state = 'running'")
)
CANCEL_THESE = (
    update(jobs)
    .where(jobs.c.id.in_(_IDS))
    .values(state="cancelled", finished=bindparam("now"))
    .returning(jobs.c.id, jobs.c.followed, jobs.c.callback, jobs.c.owner)
)
