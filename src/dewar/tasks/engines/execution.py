"""Running a task's function: from the text of its arguments to the text of its result."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_without_app
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.task_address import TaskAddress, find_task
from dewar.tasks.serialization.values import ordered_dumps, pack, unpack_arguments

#: How a function ends: it returns or it raises.
DONE, FAILED = "done", "failed"

#: Whether the running job belongs to another process.
is_remote: ContextVar[bool] = ContextVar("dewar.tasks.is_remote", default=False)


def perform(task: Any, arguments: str, id: str, attempt: int) -> list[str]:
    """Run a task's function; return how it ended, and its packed result or its error as JSON.

    An exception of the function is an outcome. It is not raised here.

    Args:
        task: The `Task`.
        arguments: The text from `dewar.tasks.serialization.values.pack_arguments`.
        id: The job's id.
        attempt: The number of the attempt, from 1 on.
    """
    outer = running.get(None)
    report, wait_for = (_forget, None) if outer is None else (outer.report, outer.wait_for)
    token = running.set(RunningJob(id, task.name, attempt, report, wait_for))
    provider = task.json
    try:
        args, kwargs = unpack_arguments(arguments, provider.loads)
        result = call_without_app(task.sync_function, args, kwargs)
        return [DONE, pack(result, ordered_dumps(provider), "result")]
    except BaseException as error:  # noqa: BLE001  # it is the job's outcome
        return [FAILED, json.dumps(describe_error(error, provider.dumps))]
    finally:
        running.reset(token)


def perform_remote(
    address: Mapping[str, Any],
    arguments: str,
    id: str,
    attempt: int,
) -> list[str]:
    """Do the same as `perform` in a remote process, which finds the task by its address."""
    token = is_remote.set(True)
    try:
        task = find_task(TaskAddress(**address))
        return perform(task, arguments, id, attempt)
    except Exception as error:  # noqa: BLE001  # as above: it is the job's outcome
        return [FAILED, json.dumps(describe_error(error))]
    finally:
        is_remote.reset(token)


def _forget(progress: Progress) -> None:
    """Drop a progress."""
