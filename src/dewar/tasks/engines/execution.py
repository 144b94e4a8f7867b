"""Running a task's function: from the text of its arguments to the text of its result."""

import json
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from dewar.tasks.interruptible import Interruptible
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_without_app
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.task_address import TaskAddress, find_task
from dewar.tasks.serialization.values import ordered_dumps, pack, unpack_arguments
from dewar.tasks.tracing import job_span

#: How a function ends: it returns or it raises.
DONE, FAILED = "done", "failed"

#: Whether the running job belongs to another process.
is_remote: ContextVar[bool] = ContextVar("dewar.tasks.is_remote", default=False)


def perform(
    task: Any, arguments: str, id: str, attempt: int, span: Mapping[str, Any] | None = None
) -> list[str]:
    """Run a task's function; return how it ended, and its packed result or its error as JSON.

    An exception of the function is an outcome. It is not raised here, except for the one of a job
    that was asked to end, and does.

    Args:
        task: The `Task`.
        arguments: The text from `dewar.tasks.serialization.values.pack_arguments`.
        id: The job's id.
        attempt: The number of the attempt, from 1 on.
        span: What `dewar.tasks.tracing.span_of` has returned of the job.

    Raises:
        CancelledError: If the function was asked to end, and has raised this.
    """
    if span is None:
        return _perform(task, arguments, id, attempt)
    with job_span(span, task.name, id, attempt) as note_error:
        outcome = _perform(task, arguments, id, attempt)
        if outcome[0] == FAILED:
            note_error(json.loads(outcome[1]))
        return outcome


def _perform(task: Any, arguments: str, id: str, attempt: int) -> list[str]:
    outer = running.get(None)
    report, wait_for = (_forget, None) if outer is None else (outer.report, outer.wait_for)
    inner = Interruptible(task.name) if outer is None else outer.interruptible
    token = running.set(RunningJob(id, task.name, attempt, inner, report, wait_for))
    provider = task.json
    try:
        args, kwargs = unpack_arguments(arguments, provider.loads)
        result = call_without_app(task.sync(inner.guard(task.function)), args, kwargs)
        return [DONE, pack(result, ordered_dumps(provider), "result")]
    except BaseException as error:
        if inner.is_cancelled and isinstance(error, CancelledError):
            raise
        return [FAILED, json.dumps(describe_error(error, provider.dumps))]
    finally:
        running.reset(token)


def perform_remote(
    address: Mapping[str, Any],
    arguments: str,
    id: str,
    attempt: int,
    span: Mapping[str, Any] | None = None,
) -> list[str]:
    """Do the same as `perform` in a remote process, which finds the task by its address."""
    token = is_remote.set(True)
    try:
        try:
            task = find_task(TaskAddress(**address))
        except Exception as error:  # noqa: BLE001  # as above: it is the job's outcome
            return [FAILED, json.dumps(describe_error(error))]
        return perform(task, arguments, id, attempt, span)
    finally:
        is_remote.reset(token)


def preload(address: Mapping[str, Any]) -> None:
    """Import the app of a task in a remote process, before the time of a job is measured.

    An error is left to the first job, which finds it again and has an outcome to tell it.
    """
    token = is_remote.set(True)
    with suppress(BaseException):  # a module may exit
        find_task(TaskAddress(**address))
    is_remote.reset(token)


def _forget(progress: Progress) -> None:
    """Drop a progress."""
