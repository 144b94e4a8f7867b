"""The context in which a job is submitted, kept for the run of the job.

It is captured when the job is submitted, because the request may be over when the job begins. In
the same process the job also sees a copy of the submitter's context variables. In another process
it sees only what can be written as JSON.
"""

from asyncio import run as run_coroutine
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any

from dewar.contexts.current import maybe_current
from dewar.support.redaction import secret_names
from dewar.tasks.progress import RunningJob, running
from dewar.tasks.serialization.task_address import app_path, finder


class CapturedContext:
    """A snapshot of an app's context, and the context variables to run it in.

    The snapshot is made on first use if only its JSON form is given.

    Args:
        app: The app.
        path: Returns the path by which another process finds the app.
        portable: The JSON form of the snapshot; None for a fresh app context.
        snapshot: The snapshot itself, if there is one.
        variables: Each call runs in a copy of them; None for no variables.
    """

    __slots__ = ("_app", "_path", "_portable", "_snapshot", "_variables")

    def __init__(
        self,
        app: Any,
        path: Callable[[], str],
        portable: Mapping[str, Any] | None = None,
        snapshot: Any = None,
        variables: Context | None = None,
    ) -> None:
        self._app = app
        self._path = path
        self._portable = portable
        self._snapshot = snapshot
        self._variables = variables

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call the function in its own contexts. Any number of threads may do so at once.

        The function sees the `current_job` of the caller, not the one of the submitter.
        """
        job = running.get(None)
        variables = Context() if self._variables is None else self._variables.copy()
        return variables.run(self._run, job, function, args, kwargs)

    def portable(self) -> dict[str, Any]:
        """Return plain JSON, from which `restore` makes the context in another process.

        Raises:
            TaskSetupError: If no path leads to the app.
        """
        portable = self._portable
        if portable is None:
            is_secret = secret_names(self._app.config.get("TASKS_CREDENTIALS"))
            portable = self._made_snapshot().portable(is_secret)
        return {"app": self._path(), "snapshot": portable}

    def _made_snapshot(self) -> Any:
        # Two threads may make it at once; both are the same.
        if self._snapshot is None:
            context, portable = self._app.app_context(), self._portable
            self._snapshot = (
                context._dewar_snapshot()
                if portable is None
                else context._dewar_snapshot_from(portable)
            )
        return self._snapshot

    def _run(
        self, job: RunningJob | None, function: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        if job is not None:
            running.set(job)
        return self._made_snapshot().run(function, args, kwargs)

    def __repr__(self) -> str:
        return f"<CapturedContext of {self._app!r}>"


def capture(app: str | None = None) -> CapturedContext | None:
    """Return the context that a job gets from the caller; None outside of any app's context.

    Args:
        app: The import path by which another process finds the app, as ``module:app`` or
            ``module:make_app()``; None to look for it in the app's module when it is needed.
    """
    context = maybe_current()
    if context is None:
        return None
    snapshot = context._dewar_snapshot()
    owner = snapshot.app
    return CapturedContext(
        owner, lambda: app or app_path(owner), snapshot=snapshot, variables=copy_context()
    )


def restore(portable: Mapping[str, Any]) -> CapturedContext:
    """Return the context that `CapturedContext.portable` describes, in this process.

    Raises:
        TaskSetupError: If the app is not found here.
    """
    path = portable["app"]
    return CapturedContext(finder.find(path), lambda: path, portable["snapshot"])


def call_in_context(
    portable: Mapping[str, Any] | None,
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Call a function in the worker's process, in the submitter's context if there was one."""
    if portable is None:
        return call_without_app(function, args, kwargs)
    return restore(portable).run(function, args, kwargs)


def call_without_app(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Call a function without any app; run the coroutine that it may return to its end.

    Context variables that the function sets do not change for the caller.
    """
    return copy_context().run(_call, function, args, kwargs)


def _call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    result = function(*args, **kwargs)
    return run_coroutine(result) if type(result) is CoroutineType else result
