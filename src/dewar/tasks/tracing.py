"""Spans of OpenTelemetry for jobs: one where a job is submitted, and one for each attempt at it.

They are made if the program uses OpenTelemetry, which it then has imported itself. PERF: a program
that does not pays a look into `sys.modules`.

The trace travels as the W3C fields of the submitter's propagator, with the stored context of a job.
A process of a Dewar that does not know them leaves them alone.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dewar.version import __version__

_API = "opentelemetry.trace"
_NAME = "dewar.tasks"
#: The stored form of a context that has nothing but the app.
_PLAIN_CONTEXT = '{"g": {}, "g_absent": [], "request": null}'
#: Where the fields are in a stored context.
_FIELDS = "trace"


def is_tracing() -> bool:
    """Return whether the program uses OpenTelemetry."""
    return _API in sys.modules


def traced_context(stored: str | None, task: str, queue: str, id: str) -> str | None:
    """Make the span of a submission; return the stored context of the job with its trace.

    Args:
        stored: The stored context without it, as JSON.
        task: The name of the job's task.
        queue: The job's queue.
        id: The job's id.
    """
    from opentelemetry import propagate, trace

    tracer = trace.get_tracer(_NAME, __version__)
    fields: dict[str, str] = {}
    attributes = _attributes("create", "submit", task, queue, id)
    kind = trace.SpanKind.PRODUCER
    with tracer.start_as_current_span(f"submit {task}", kind=kind, attributes=attributes):
        propagate.inject(fields)
    if not fields:
        return stored
    return json.dumps({**json.loads(stored or _PLAIN_CONTEXT), _FIELDS: fields})


def span_of(stored: Mapping[str, Any] | None, queue: str) -> dict[str, Any] | None:
    """Return what `job_span` needs of a job with a stored context; None if there is no trace.

    Args:
        stored: The stored context of the job.
        queue: The job's queue.
    """
    fields = None if stored is None else stored.get(_FIELDS)
    if fields is None and _API not in sys.modules:
        return None
    return {"fields": fields or {}, "queue": queue}


@contextmanager
def job_span(
    span: Mapping[str, Any], task: str, id: str, attempt: int
) -> Iterator[Callable[[Mapping[str, Any]], object]]:
    """Make the span of an attempt the current one, for a ``with`` block.

    Args:
        span: What `span_of` has returned, perhaps in another process.
        task: The name of the job's task.
        id: The job's id.
        attempt: 1 for the first.

    Yields:
        A function to be called with the description of the job's error, if it fails.
    """
    try:
        from opentelemetry import propagate, trace
    except ImportError:  # the extra is installed where jobs are submitted, and not here
        yield _forget
        return
    attributes = _attributes("process", "run", task, span["queue"], id)
    tracer = trace.get_tracer(_NAME, __version__)
    with tracer.start_as_current_span(
        f"run {task}",
        context=propagate.extract(span["fields"]),
        kind=trace.SpanKind.CONSUMER,
        attributes={**attributes, "dewar.job.attempt": attempt},
    ) as current:

        def note_error(error: Mapping[str, Any]) -> None:
            kind = str(error["type"]).replace(":", ".")
            told = {"type": kind, "message": error["text"], "stacktrace": error["traceback"]}
            current.add_event("exception", {f"exception.{name}": told[name] for name in told})
            current.set_attribute("error.type", kind)
            current.set_status(trace.StatusCode.ERROR, str(error["text"]))

        yield note_error


def _forget(error: Mapping[str, Any]) -> None:
    """Drop an error that nobody wants to see."""


def _attributes(kind: str, name: str, task: str, queue: str, id: str) -> dict[str, str]:
    """Return the attributes of the semantic conventions for messaging, and the task."""
    return {
        "messaging.system": "dewar",
        "messaging.operation.type": kind,
        "messaging.operation.name": name,
        "messaging.destination.name": queue,
        "messaging.message.id": id,
        "dewar.job.task": task,
    }
