"""The SQL of the ledger, the same for both databases.

Conditions that are `text` repeat the literals of the partial indexes in
`dewar.tasks.ledger.schema`: only then are these used. For SQLite, ``FOR UPDATE`` is left out: it
has one writer at a time.
"""

from functools import cache

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    TextClause,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    text,
    update,
)

from dewar.tasks.ledger.records import JobState
from dewar.tasks.ledger.schema import deliveries, jobs, owners

_IS_WAITING = text("state = 'queued' AND owner IS NULL")
_IS_QUEUED = text("state = 'queued'")
_IS_RUNNING = text("state = 'running'")
IS_ACTIVE = text("finished IS NULL")
_ENDED_BADLY = text("state IN ('cancelled', 'failed', 'lost')")
_BAD = ("cancelled", "failed", "lost")
_THIS = jobs.c.id == bindparam("job")
_THESE = jobs.c.id.in_(bindparam("ids", expanding=True))
# An expression, so that no planner finds jobs by their task and then has to sort them by time.
_OF_TASKS = jobs.c.task.concat(literal_column("''")).in_(bindparam("tasks", expanding=True))
_ITS_OWNER = jobs.c.owner == bindparam("holder")


def _count(*conditions: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
    return select(func.count()).select_from(jobs).where(*conditions).scalar_subquery()


INSERT = jobs.insert()
JOB = select(jobs).where(_THIS)
JOBS = select(jobs).where(_THESE)

#: The present state of jobs. They are locked in order, so that no two writers deadlock.
_JOB_SNAPSHOT = (
    select(
        jobs.c.id,
        jobs.c.task,
        jobs.c.state,
        jobs.c.owner,
        jobs.c.attempts,
        jobs.c.callback,
        jobs.c.stop_requested,
    )
    .order_by(jobs.c.id)
    .with_for_update()
)
SNAPSHOT = _JOB_SNAPSHOT.where(_THIS)
SNAPSHOTS = _JOB_SNAPSHOT.where(_THESE)

#: The number of jobs of a task that wait and are due.
QUEUED = (
    select(func.count())
    .select_from(jobs)
    .where(
        _IS_QUEUED,
        jobs.c.task == bindparam("task", type_=jobs.c.task.type),
        jobs.c.due <= bindparam("now", type_=jobs.c.due.type),
    )
)

_CLAIMABLE = (
    select(jobs.c.id)
    .where(_IS_WAITING, _OF_TASKS, jobs.c.due <= bindparam("now"))
    .order_by(jobs.c.due, jobs.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .correlate(None)
)
CLAIM = (
    update(jobs)
    .where(jobs.c.id.in_(_CLAIMABLE))
    .values(owner=bindparam("holder"))
    .returning(*jobs.c)
)
#: Jobs that were due at once, and are not: the clock was set back since. `created` keeps its time.
BRING_FORWARD = (
    update(jobs)
    .where(_IS_WAITING, jobs.c.due > bindparam("now"), jobs.c.due <= jobs.c.created)
    .values(due=bindparam("now"))
)
#: When the first job of some tasks is due.
NEXT_DUE = select(func.min(jobs.c.due)).where(_IS_WAITING, _OF_TASKS)

#: The tasks of due jobs without an owner that are not among some tasks, and how many jobs each has.
UNKNOWN = (
    select(jobs.c.task, func.count())
    .where(
        _IS_WAITING,
        jobs.c.due <= bindparam("before"),
        jobs.c.task.not_in(bindparam("tasks", expanding=True)),
    )
    .group_by(jobs.c.task)
)

#: The jobs of an owner that have not begun; locked in order, as `SNAPSHOTS` are.
_UNSTARTED = (
    select(jobs.c.id)
    .where(IS_ACTIVE, _IS_QUEUED, _ITS_OWNER)
    .order_by(jobs.c.id)
    .with_for_update()
    .correlate(None)
)
RELEASE_ALL = update(jobs).where(jobs.c.id.in_(_UNSTARTED)).values(owner=None)
RELEASE = update(jobs).where(jobs.c.id.in_(_UNSTARTED.where(_THESE))).values(owner=None)

CANCEL = update(jobs).where(_THIS, _IS_QUEUED).values(state="cancelled", finished=bindparam("now"))
RETRY = (
    update(jobs)
    .where(_THIS, _ENDED_BADLY)
    .values(
        state="queued",
        owner=None,
        due=bindparam("now"),
        started=None,
        finished=None,
        fraction=None,
        message=None,
        result=None,
        error=None,
    )
)
#: Mark a running job to be stopped, and find the marked ones.
STOP = update(jobs).where(_THIS, _IS_RUNNING).values(stop_requested=1)
STOPS = select(jobs.c.id).where(text("stop_requested = 1"), _ITS_OWNER)

#: The numbers of jobs at one moment. All but the last are counted in small indexes.
COUNTS = select(
    _count(IS_ACTIVE).label("active"),
    _count(_IS_QUEUED).label("queued"),
    *(_count(_ENDED_BADLY, jobs.c.state == name).label(name) for name in _BAD),
    _count().label("all"),
)

#: The jobs that ended before a time, of those with ids in a range.
_ENDED_BEFORE = (
    select(jobs.c.id)
    .where(
        jobs.c.finished < bindparam("before"),
        ~exists().where(deliveries.c.job_id == jobs.c.id, deliveries.c.state == "pending"),
    )
    .order_by(jobs.c.id)
)
ENDED_BEFORE = _ENDED_BEFORE.where(
    jobs.c.id > bindparam("after"), jobs.c.id < bindparam("prefix")
).limit(bindparam("most"))
#: Those of them that may still be deleted, and that nobody else is deleting.
PURGED = _ENDED_BEFORE.where(_THESE).with_for_update(skip_locked=True)
DROP_JOBS = delete(jobs).where(_THESE)
DROP_DELIVERIES = delete(deliveries).where(
    deliveries.c.job_id.in_(bindparam("ids", expanding=True))
)

RENEW = (
    update(owners).where(owners.c.id == bindparam("holder")).values(lease_until=bindparam("until"))
)
OWNERS = owners.select().order_by(owners.c.id)
#: The running jobs of an owner, and the owners that the ledger does not know.
HELD = (
    select(jobs.c.id, jobs.c.task, jobs.c.due, jobs.c.idempotent, jobs.c.stop_requested)
    .where(IS_ACTIVE, _IS_RUNNING, _ITS_OWNER)
    .order_by(jobs.c.id)
    .with_for_update()
)
ORPHANS = (
    select(jobs.c.owner)
    .where(IS_ACTIVE, jobs.c.owner.is_not(None), jobs.c.owner.not_in(select(owners.c.id)))
    .distinct()
)
#: The callbacks that a dead process was sending are due now, not after their lease.
UNSENT = (
    update(deliveries)
    .where(text("state = 'pending'"), deliveries.c.owner == bindparam("holder"))
    .values(owner=None, lease_until=None, due=bindparam("now"))
)
FORGET_OWNER = delete(owners).where(owners.c.id == bindparam("holder"))


@cache
def change_of(columns: tuple[str, ...]) -> Update:
    """Return the statement that sets columns of ``job``; each is a parameter."""
    return update(jobs).where(_THIS).values({name: bindparam(name) for name in columns})


def page(state: JobState | None, task: str | None, before: str | None) -> Select[tuple[object]]:
    """Return the statement that lists jobs, the newest first, up to ``most``."""
    found = select(jobs)
    if state is not None:
        found = found.where(_among(state))
    if task is not None:
        found = found.where(jobs.c.task == task)
    if before is not None:
        found = found.where(jobs.c.id < before)
    return found.order_by(jobs.c.id.desc()).limit(bindparam("most"))


def _among(state: JobState) -> ColumnElement[bool]:
    """Return the condition on the state, for which no job that ended well is read."""
    this: ColumnElement[bool] = jobs.c.state == state.value
    if state is JobState.DONE:
        return this
    if state.is_final:
        return and_(_ENDED_BADLY, this)
    # A subquery: otherwise SQLite scans all the ids, which are in the requested order.
    active = select(jobs.c.id).where(IS_ACTIVE, this)
    return jobs.c.id.in_(active.correlate(None))
