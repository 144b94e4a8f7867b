"""Running one job where it runs: from the text of its arguments to the text of its result."""

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

#: The two ways in which a function ends.
DONE, FAILED = "done", "failed"

#: Whether this runs for another process, which keeps the job.
is_remote: ContextVar[bool] = ContextVar("dewar.tasks.is_remote", default=False)


class StoredContext:
    """What of the submitter's context is in the ledger, ready to run a function in.

    Args:
        app: The app, or None for a function without one.
        path: Where another process finds the app.
        snapshot: The plain form of what was carried; None for the app alone.
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
    """Return what writes JSON with the keys of a dict in their order: it shall come back as it was.

    Args:
        provider: An app's, which may sort them for answers; or the module `json`.
    """
    if getattr(provider, "sort_keys", False):
        return partial(provider.dumps, sort_keys=False)
    dumps: Callable[[Any], str] = provider.dumps
    return dumps


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
