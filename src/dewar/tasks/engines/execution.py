"""Running a task's function: from the text of its arguments to the text of its result."""

import json
from collections.abc import Callable, Mapping
from contextvars import Context, ContextVar
from functools import partial
from typing import Any

from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import CapturedContext, call_without_app
from dewar.tasks.serialization.failures import describe_error
from dewar.tasks.serialization.task_address import TaskAddress, find_task
from dewar.tasks.serialization.values import pack, unpack_arguments

#: How a function ends: it returns or it raises.
DONE, FAILED = "done", "failed"

#: Whether the running job belongs to another process.
is_remote: ContextVar[bool] = ContextVar("dewar.tasks.is_remote", default=False)


class StoredContext:
    """The submitter's context as it is in the ledger, to run a function in.

    Args:
        app: The app.
        path: Returns where another process finds the app.
        snapshot: The snapshot of the submitter's context in plain JSON; None for the app alone.
    """

    def __init__(
        self, app: Any, path: Callable[[], str], snapshot: Mapping[str, Any] | None
    ) -> None:
        self._app = app
        self._path = path
        self._snapshot = snapshot

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """See `dewar.tasks.engines.interface.JobContext`."""
        context = self._app.app_context()
        portable = self._snapshot
        snapshot = context.snapshot() if portable is None else context.snapshot_from(portable)
        return CapturedContext(snapshot, Context()).run(function, args, kwargs)

    def portable(self) -> dict[str, Any] | None:
        """See `dewar.tasks.engines.interface.JobContext`."""
        snapshot = self._snapshot
        if snapshot is None:
            snapshot = self._app.app_context().snapshot().portable()
        return {"app": self._path(), "snapshot": snapshot}


def ordered_dumps(provider: Any) -> Callable[[Any], str]:
    """Return a function that writes JSON and keeps the order of the keys.

    Args:
        provider: The app's JSON provider, which may sort the keys; or the module `json`.
    """
    if getattr(provider, "sort_keys", False):
        return partial(provider.dumps, sort_keys=False)
    dumps: Callable[[Any], str] = provider.dumps
    return dumps


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
