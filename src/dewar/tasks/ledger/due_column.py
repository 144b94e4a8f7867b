"""The column ``due``, and how jobs are hidden in it from processes of an older Dewar.

A process of schema 1 claims each job of a task that it knows once the job is due. It knows neither
queues nor limits. So for it, jobs that it must not claim are due after the end of the calendar:
their time is shifted by a constant, which also tells them apart within the index of their task.

A job that waits for others is a limited one, and is shifted further. So nobody claims it, until it
is released: the further shift is taken away then.
"""

from math import inf

from sqlalchemy import ColumnElement, and_, case, literal_column

from dewar.tasks.ledger.schema import jobs
from dewar.tasks.placement import DEFAULT_QUEUE

#: The shift of jobs in other queues, and of limited jobs: more than the year 9999 in seconds.
_QUEUED_SHIFT, LIMITED_SHIFT = 2.0**38, 2.0**39

#: What is added for a job that waits for others.
BLOCK = 2.0**40

#: The shifts, each with the end of the times that have it.
SHIFTS = ((0.0, _QUEUED_SHIFT), (_QUEUED_SHIFT, LIMITED_SHIFT), (LIMITED_SHIFT, inf))

_Q: ColumnElement[float] = literal_column(f"{_QUEUED_SHIFT:.1f}")
_L: ColumnElement[float] = literal_column(f"{LIMITED_SHIFT:.1f}")
_B: ColumnElement[float] = literal_column(f"{BLOCK:.1f}")
#: Whether a job waits for others, and the time of one that does or does not from now on.
IS_BLOCKED = jobs.c.due >= _B
TO_BLOCKED, TO_RELEASED = jobs.c.due + _B, jobs.c.due - _B
#: The shift of a row.
SHIFT: ColumnElement[float] = case(
    (jobs.c.due >= _L, _L), (jobs.c.due >= _Q, _Q), else_=literal_column("0.0")
)
#: Of a row without a limit: what has to be added to make it a limited one.
TO_LIMITED: ColumnElement[float] = case((jobs.c.due >= _Q, _L - _Q), else_=_L)
#: Whether a row is not marked as limited.
IS_UNLIMITED = jobs.c.due < _L


def shift_of(queue: str, *, limited: bool) -> float:
    """Return by how much the time of a job is shifted."""
    if limited:
        return LIMITED_SHIFT
    return 0.0 if queue == DEFAULT_QUEUE else _QUEUED_SHIFT


def end_of(queue: str) -> float:
    """Return a time after those of all jobs in a queue that are not limited."""
    # One in another queue has no shift if a process of schema 1 has made it wait again.
    return _QUEUED_SHIFT if queue == DEFAULT_QUEUE else LIMITED_SHIFT


def shift_in(stored: float) -> float:
    """Return by how much a stored time is shifted."""
    if stored < _QUEUED_SHIFT:
        return 0.0
    return _QUEUED_SHIFT if stored < LIMITED_SHIFT else LIMITED_SHIFT


def stored_due(due: float, shift: float) -> float:
    """Return the time to store. A shifted one is rounded to 0.1 ms."""
    # What was due before 1970 was due long ago.
    return max(due, 0.0) + shift if shift else due


def due_of(stored: float) -> float:
    """Return the time that is stored."""
    # PERF: that of nearly every job.
    return stored if stored < _QUEUED_SHIFT else stored - shift_in(stored)


def due_ranges(now: ColumnElement[float]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a job is due at a time, one of which it meets.

    PERF: together in one condition, they would have all jobs of a task read, also those for later.
    """
    return (
        jobs.c.due <= now,
        and_(jobs.c.due >= _Q, jobs.c.due <= now + _Q),
        and_(jobs.c.due >= _L, jobs.c.due <= now + _L),
    )
