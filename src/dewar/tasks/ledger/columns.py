"""The columns of a job as they are written: accepted, waiting again, ended."""

from typing import TypeAlias

from dewar.tasks.ledger.due_column import BLOCK, stored_due
from dewar.tasks.ledger.records import JobState, NewJob
from dewar.tasks.placement import DEFAULT_QUEUE

RowValues: TypeAlias = dict[str, object]
#: The columns of a new job that most leave out, at their defaults.
PLACED: RowValues = {
    "queue": DEFAULT_QUEUE,
    "priority": 0,
    "limited": 0,
    "unique_key": None,
    "followed": 0,
    "workflow": None,
}


def waiting_again(due: float) -> RowValues:
    """Return the columns of a job that has run and waits to be claimed again.

    Args:
        due: As it is stored.
    """
    return {
        "state": JobState.QUEUED.value,
        "owner": None,
        "due": due,
        "started": None,
        "fraction": None,
        "message": None,
        "stop_requested": 0,
    }


def ended_at(now: float, state: JobState) -> RowValues:
    """Return the columns of a job that has ended."""
    return {"state": state.value, "finished": now, "stop_requested": 0}


def row_of(new: NewJob, shift: float) -> RowValues:
    """Return the columns of an accepted job, without those that are at their defaults.

    Args:
        new: The job.
        shift: The shift of its time.
    """
    arguments, context = new.arguments, new.context
    # PERF: one check for both. JSON is ASCII unless an app's provider writes it otherwise.
    both = arguments if context is None else arguments + context
    if not both.isascii() or "\0" in both:
        arguments, context = clean(arguments), maybe_clean(context)
    row: RowValues = {
        "id": new.id,
        "task": new.task,
        "state": JobState.QUEUED.value,
        "arguments": arguments,
        "context": context,
        "owner": new.owner,
        "attempts": 0,
        "idempotent": int(new.idempotent),
        "stop_requested": 0,
        "created": new.created,
        "due": stored_due(new.due, shift + BLOCK if new.after else shift) if shift else new.due,
        "started": None,
        "finished": None,
        "fraction": None,
        "message": None,
        "result": None,
        "error": None,
        "callback": new.callback,
    }
    if shift or new.priority or new.unique_key is not None or new.workflow is not None:
        row |= {
            "queue": new.queue,
            "priority": new.priority,
            "limited": int(new.limited or bool(new.after)),
            "unique_key": new.unique_key,
            "followed": 0,
            "workflow": new.workflow,
        }
    return row


def maybe_clean(text: str | None) -> str | None:
    """Return a text as `clean` does, or None."""
    return None if text is None else clean(text)


def clean(text: str) -> str:
    """Return a text without NUL, which PostgreSQL refuses, and lone surrogates, which UTF-8 lacks.

    A single refused text would fail the whole batch.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()
