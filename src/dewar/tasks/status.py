"""`JobStatus`: the state of a job at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from dewar.tasks.errors import Unreadable
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.placement import DEFAULT_QUEUE
from dewar.tasks.progress import Progress
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.values import Loads, plain, unpack

# What a client sees instead of an exception.
_HIDDEN_ERROR = MappingProxyType({"type": None, "message": "The job ended without a result."})


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStatus:
    """What the ledger knows of a job. Times are in UTC.

    Attributes:
        result: What the function returned; None before that.
        error: What it raised: ``type`` as ``module:name``, ``text`` and ``traceback``. For a job
            that is done, why this process cannot read its result.
    """

    id: str
    task: str
    state: JobState
    progress: Progress | None
    attempts: int
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    created: datetime
    due: datetime
    started: datetime | None
    finished: datetime | None
    result: Any
    error: Mapping[str, Any] | None

    @classmethod
    def of(cls, record: JobRecord, loads: Loads) -> "JobStatus":
        """Return the status that a record describes."""
        told = record.fraction is not None
        result, error = None, None if record.error is None else loads(record.error)
        if record.result is not None:
            try:
                result = unpack(record.result, loads)
            except Unreadable as unreadable:
                error = describe_error(unreadable)
        return cls(
            id=record.id,
            task=record.task,
            state=record.state,
            progress=Progress(record.fraction or 0.0, record.message or "") if told else None,
            attempts=record.attempts,
            queue=record.queue,
            priority=record.priority,
            created=time_of(record.created),
            due=time_of(record.due),
            started=None if record.started is None else time_of(record.started),
            finished=None if record.finished is None else time_of(record.finished),
            result=result,
            error=error,
        )

    def as_dict(self, *, shows_errors: bool = False) -> dict[str, Any]:
        """Return what a client may see, as plain JSON: no arguments and no traceback.

        Args:
            shows_errors: Whether a client may see the type and the text of the exception, which
                may name hosts, files and data of others.
        """
        progress = self.progress
        outcome = public_outcome(self.state, self.result, self.error)
        if "error" in outcome and not shows_errors:
            outcome["error"] = dict(_HIDDEN_ERROR)
        return {
            "id": self.id,
            "task": self.task,
            "state": self.state.value,
            "progress": None
            if progress is None
            else {"fraction": progress.fraction, "message": progress.message},
            "attempts": self.attempts,
            "created": self.created.isoformat(),
            "started": None if self.started is None else self.started.isoformat(),
            "finished": None if self.finished is None else self.finished.isoformat(),
            **outcome,
        }


def public_outcome(state: JobState, result: Any, error: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return ``result`` or ``error`` of a job as a client may see it; neither before its end."""
    if state is JobState.DONE and error is None:
        return {"result": plain(result, "result")}
    if error is None or not state.is_final:
        return {}
    return {"error": {"type": error["type"], "message": error["text"]}}


def time_of(seconds: float) -> datetime:
    """Return a time in the ledger, in UTC.

    A clock or a caller may have been wrong. Then it is the nearest time of the calendar, because
    one row must not break a list.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, ArithmeticError, OSError):
        nearest = datetime.max if seconds > 0 else datetime.min  # noqa: DTZ901  # it is set next
        return nearest.replace(tzinfo=UTC)
