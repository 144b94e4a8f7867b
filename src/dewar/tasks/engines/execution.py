"""Running one job where it runs: from the text of its arguments to the text of its result."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_without_app
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.task_address import TaskAddress, find_task
from dewar.tasks.serialization.values import ordered_dumps, pack, unpack_arguments

#: The two ways in which a function ends.
DONE, FAILED = "done", "failed"

#: Whether this runs for another process, which keeps the job.
is_remote: ContextVar[bool] = ContextVar("dewar.tasks.is_remote", default=False)


def perform(task: Any, arguments: str, id: str, attempt: int) -> list[str]:
    """Run a task's function; return how it ended, and its packed result or its error as JSON.

    Nothing that the function does gets out of here as an exception.

    Args:
        task: The `Task`.
        arguments: As `dewar.tasks.serialization.values.pack_arguments` wrote them.
        id: The job's id.
        attempt: 1 for the first.
    """
    outer = running.get(None)
    token = running.set(
        RunningJob(id, task.name, attempt, _forget if outer is None else outer.report)
    )
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
    """Do what `perform` does in a remote process, which finds the task by its address."""
    token = is_remote.set(True)
    try:
        task = find_task(TaskAddress(**address))
        return perform(task, arguments, id, attempt)
    except Exception as error:  # noqa: BLE001  # as above: it is this job's alone
        return [FAILED, json.dumps(describe_error(error))]
    finally:
        is_remote.reset(token)


def _forget(progress: Progress) -> None:
    """Tell nobody."""
