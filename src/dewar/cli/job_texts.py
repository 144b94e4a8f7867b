"""Jobs as text: a line for each, all details of one, and JSON."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import click

from dewar.support.printable import printable
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.ledger.workflow_record import WorkflowRecord
from dewar.tasks.status import time_of
from dewar.tasks.webhooks.records import Delivery

#: Writes one job as a text.
JobFormatter = Callable[[JobRecord], str]

#: The colours of states, on a terminal.
COLORS = MappingProxyType(
    {
        JobState.QUEUED: "white",
        JobState.RUNNING: "cyan",
        JobState.DONE: "green",
        JobState.FAILED: "red",
        JobState.CANCELLED: "yellow",
        JobState.LOST: "magenta",
    }
)

_COLUMNS = (
    ("ID", 36),
    ("STATE", 9),
    ("PROGRESS", 8),
    ("TRIES", 5),
    ("CREATED", 20),
    ("QUEUE", 8),
    ("TASK", 16),
    ("ARGUMENTS", 0),
)
# The fields of a record that are JSON.
_JSON = ("arguments", "result", "error")
_TIMES = ("created", "due", "started", "finished")


def header() -> str:
    """Return the line above the lines of jobs."""
    return _line(name for name, _ in _COLUMNS)


def job_line(job: JobRecord, arguments: str = "", *, is_known: bool = True) -> str:
    """Return a job as one line of columns. Only the last two may contain spaces.

    Args:
        job: The job.
        arguments: Its arguments, shortened.
        is_known: Whether the app has its task; if not, no process of this version runs it.
    """
    cells = (job.id, job.state.value, progress(job), str(job.attempts), _time(job.created))
    queue, task = printable(job.queue), printable(job.task)
    line = _line((*cells, queue, task if is_known else f"{task} (unknown task)", arguments))
    state = job.state.value
    return line.replace(state, click.style(state, fg=COLORS[job.state]), 1)


def job_json(job: JobRecord, loads: Callable[[str], Any] = json.loads) -> str:
    """Return everything about a job as one line of JSON. Times are in UTC.

    Args:
        job: The job.
        loads: Reads the JSON of its arguments and its result.
    """
    shown = {**asdict(job), "state": job.state.value}
    for name in _JSON:
        shown[name] = None if shown[name] is None else loads(shown[name])
    for name in _TIMES:
        shown[name] = None if shown[name] is None else time_of(shown[name]).isoformat()
    del shown["context"]
    return json.dumps(shown, default=str)


def details(job: JobRecord, callbacks: Iterable[Delivery] = ()) -> str:
    """Return everything about a job, with its callbacks and the traceback of its error."""
    error = {} if job.error is None else json.loads(job.error)
    took = None
    if job.finished is not None and job.started is not None:
        took = f"{_time(job.finished)} ({job.finished - job.started:.3g} s)"
    fields = {
        "id": job.id,
        "task": job.task,
        "state": f"{job.state.value}{' (waits for other jobs)' if job.is_blocked else ''}",
        "workflow": job.workflow,
        "queue": job.queue,
        "priority": str(job.priority) if job.priority else None,
        "unique key": job.unique_key,
        "progress": f"{progress(job)} {job.message or ''}" if job.fraction is not None else None,
        "tries": str(job.attempts),
        "repeatable": "yes" if job.idempotent else "no",
        "owner": job.owner,
        "created": _time(job.created),
        "due": _time(job.due),
        "started": _time(job.started),
        "finished": took or _time(job.finished),
        "arguments": job.arguments,
        "callback": job.callback,
        "result": job.result,
        "error": f"{error.get('type')}: {error.get('text')}" if error else None,
    }
    lines = [f"{name:10} {printable(text)}" for name, text in fields.items() if text]
    lines += [f"{'posted':10} {printable(_posted(callback))}" for callback in callbacks]
    traceback = "\n".join(printable(line) for line in error.get("traceback", "").splitlines())
    return "\n".join([*lines, *(["", traceback] if traceback else [])])


def workflow_text(workflow: WorkflowRecord) -> str:
    """Return a workflow as one line: its id, its state, and the numbers of its jobs."""
    counts = counts_text(workflow.counts)
    return f"{workflow.id}  {workflow.state.value}  {workflow.fraction:.0%}  ({counts})"


def progress(job: JobRecord) -> str:
    """Return the progress of a job in percent."""
    return "-" if job.fraction is None else f"{job.fraction:.0%}"


def counts_text(counts: Mapping[JobState, int]) -> str:
    """Return how many jobs are in each state, as a short text."""
    words = [f"{count} {state.value}" for state, count in counts.items() if count]
    return ", ".join(words) or "no jobs"


def _line(cells: Iterable[str]) -> str:
    padded = (cell.ljust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
    return "  ".join(padded).rstrip()


def _posted(callback: Delivery) -> str:
    said = [callback.state.value, f"{callback.attempts} attempts"]
    if callback.last_status is not None:
        said.append(f"last answer {callback.last_status}")
    return ", ".join([*said, *filter(None, [callback.last_error])])


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{time_of(seconds):%Y-%m-%dT%H:%M:%SZ}"
