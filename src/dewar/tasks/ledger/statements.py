"""The SQL of the ledger, the same for both databases.

Conditions that are `text` repeat the literals of the partial indexes in
`dewar.tasks.ledger.schema`: only then are these used. For SQLite, ``FOR UPDATE`` is left out: it
has one writer at a time.
"""

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    TextClause,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)

from dewar.tasks.ledger.due_column import SHIFT, due_ranges
from dewar.tasks.ledger.records import JobState
from dewar.tasks.ledger.schema import (
    PLACEMENT,
    deliveries,
    dependencies,
    jobs,
    owners,
    workflows,
)

_IS_QUEUED = text("state = 'queued'")
_IS_RUNNING = text("state = 'running'")
IS_ACTIVE = text("finished IS NULL")
_ENDED_BADLY = text("state IN ('cancelled', 'failed', 'lost')")
_BAD = ("cancelled", "failed", "lost")
_THIS = jobs.c.id == bindparam("job")
_THESE = jobs.c.id.in_(bindparam("ids", expanding=True))
_ITS_OWNER = jobs.c.owner == bindparam("holder")


def _count(*conditions: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
    return select(func.count()).select_from(jobs).where(*conditions).scalar_subquery()


INSERT = jobs.insert()
#: PERF: those of most jobs, whose other columns have the defaults of the server.
INSERT_PLAIN = jobs.insert().values(
    {column.name: bindparam(column.name) for column in jobs.c if column.name not in PLACEMENT}
)
INSERT_DEPENDENCIES = dependencies.insert()
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
        # PERF: in one column, because each costs some microseconds.
        (jobs.c.stop_requested + literal_column("2") * jobs.c.followed).label("flags"),
        jobs.c.due,
    )
    .order_by(jobs.c.id)
    .with_for_update()
)
SNAPSHOT = _JOB_SNAPSHOT.where(_THIS)
SNAPSHOTS = _JOB_SNAPSHOT.where(_THESE)

#: The jobs of a task with some keys that have not ended.
HOLDERS = select(jobs.c.id, jobs.c.unique_key).where(
    IS_ACTIVE,
    text("unique_key IS NOT NULL"),
    jobs.c.task == bindparam("of_task"),
    jobs.c.unique_key.in_(bindparam("keys", expanding=True)),
)

_OF_TASK = jobs.c.task == bindparam("task", type_=jobs.c.task.type)
_NOW = bindparam("now", type_=jobs.c.due.type)


def _count_due(*conditions: ColumnElement[bool] | TextClause) -> Select[Any]:
    first, *others = (_count(_IS_QUEUED, _OF_TASK, *conditions, due) for due in due_ranges(_NOW))
    return select(sum(others, start=first.label("due")))


#: The number of jobs of a task that wait and are due, and of those without an owner.
QUEUED = _count_due()
UNCLAIMED = _count_due(jobs.c.owner.is_(None))

#: By less a clock is not set, but corrected, or read a little later than by another process.
LEAST_STEP = 1.0
#: Jobs of a task that were due at once, and are not: the clock was set back since. `created` keeps
#: its time. Those with one shift of their time are updated together. Not those of the next second:
#: they were accepted after the clock was read, perhaps by a host whose clock is ahead.
BRING_FORWARD = (
    update(jobs)
    .where(
        _IS_QUEUED,
        jobs.c.task == bindparam("of_task"),
        jobs.c.due > bindparam("late"),
        jobs.c.due < bindparam("end"),
        jobs.c.owner.is_(None),
        jobs.c.due <= jobs.c.created + bindparam("shift"),
    )
    .values(due=bindparam("first"))
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
#: The same for a process that has died. One of them may have begun, and be the cause.
RELEASE_DEAD = (
    update(jobs)
    .where(jobs.c.id.in_(_UNSTARTED))
    .values(
        owner=None,
        error=case(
            (and_(jobs.c.error.is_(None), jobs.c.idempotent == 1), bindparam("died")),
            else_=jobs.c.error,
        ),
    )
)
RELEASE = update(jobs).where(jobs.c.id.in_(_UNSTARTED.where(_THESE))).values(owner=None)

CANCEL = (
    update(jobs)
    .where(_THIS, _IS_QUEUED)
    .values(state="cancelled", finished=bindparam("now"))
    .returning(jobs.c.followed)
)
RETRY = (
    update(jobs)
    .where(_THIS, _ENDED_BADLY)
    .values(
        state="queued",
        owner=None,
        due=bindparam("now") + SHIFT,
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

_followers, _mates = jobs.alias("followers"), jobs.alias("mates")
_OF_WORKFLOW = (text("mates.workflow IS NOT NULL"), _mates.c.workflow == jobs.c.workflow)
#: The jobs that ended before a time, of those with ids in a range. What others have waited for is
#: kept until these have ended, and a workflow until all of it may be deleted.
_ENDED_BEFORE = (
    select(jobs.c.id, jobs.c.workflow)
    .where(
        jobs.c.finished < bindparam("before"),
        ~exists().where(deliveries.c.job_id == jobs.c.id, deliveries.c.state == "pending"),
        or_(
            jobs.c.followed == 0,
            ~exists().where(
                dependencies.c.after_id == jobs.c.id,
                _followers.c.id == dependencies.c.job_id,
                _followers.c.finished.is_(None),
            ),
        ),
        or_(
            jobs.c.workflow.is_(None),
            and_(
                ~exists().where(*_OF_WORKFLOW, _mates.c.finished.is_(None)),
                ~exists().where(*_OF_WORKFLOW, _mates.c.finished >= bindparam("before")),
            ),
        ),
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
DROP_DEPENDENCIES = tuple(
    delete(dependencies).where(column.in_(bindparam("ids", expanding=True)))
    for column in (dependencies.c.job_id, dependencies.c.after_id)
)
DROP_WORKFLOWS = delete(workflows).where(
    workflows.c.id.in_(bindparam("ids", expanding=True)),
    ~exists().where(text("workflow IS NOT NULL"), jobs.c.workflow == workflows.c.id),
)

RENEW = (
    update(owners).where(owners.c.id == bindparam("holder")).values(lease_until=bindparam("until"))
)
OWNERS = owners.select().order_by(owners.c.id)
#: The running jobs of an owner, and the owners that the ledger does not know.
HELD = (
    select(
        jobs.c.id,
        jobs.c.task,
        jobs.c.due,
        jobs.c.idempotent,
        jobs.c.stop_requested,
        jobs.c.followed,
        jobs.c.error,
    )
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


def among(state: JobState) -> ColumnElement[bool]:
    """Return the condition on the state, for which no job that ended well is read."""
    this: ColumnElement[bool] = jobs.c.state == state.value
    if state is JobState.DONE:
        return this
    if state.is_final:
        return and_(_ENDED_BADLY, this)
    # A subquery: otherwise SQLite scans all the ids, which are in the requested order.
    active = select(jobs.c.id).where(IS_ACTIVE, this)
    return jobs.c.id.in_(active.correlate(None))
