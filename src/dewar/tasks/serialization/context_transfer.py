"""What goes along of the context that a job is submitted in.

It is taken when the job is submitted, because the request may be over when the job begins. In
this process the job also sees the submitter's context variables, as they were; in a remote process
there is only what has a plain form.
"""

from asyncio import run as run_coroutine
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any, Protocol

from dewar.contexts.current import maybe_current
from dewar.tasks.progress import RunningJob, running
from dewar.tasks.serialization.app_finder import AppFinder, app_path

# One for the process, as the modules are that it finds the apps in.
finder = AppFinder()


class ContextSnapshot(Protocol):
    """What is asked of a context's copy: see `dewar.contexts.snapshot.ContextSnapshot`."""

    app: Any

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call the function in contexts of its own."""

    def portable(self) -> dict[str, Any]:
        """Return it as plain JSON."""


class CapturedContext:
    """A snapshot of the app's context, with the context variables to run it in.

    Args:
        snapshot: The copy of the app's context.
        variables: What each call starts with a copy of.
        app: The import path of the app; None to work it out.
    """

    __slots__ = ("_app", "_snapshot", "_variables")

    def __init__(
        self, snapshot: ContextSnapshot, variables: Context, app: str | None = None
    ) -> None:
        self._snapshot = snapshot
        self._variables = variables
        self._app = app

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call the function in contexts of its own; may happen many times, also at once.

        What `current_job` is here, it is for the function.
        """
        job = running.get(None)
        return self._variables.copy().run(self._run, job, function, args, kwargs)

    def portable(self) -> dict[str, Any]:
        """Return what `restore` makes it of in another process, in plain JSON.

        Raises:
            TaskSetupError: If nothing says how another process finds the app.
        """
        snapshot = self._snapshot
        path = self._app or app_path(snapshot.app)
        return {"app": path, "snapshot": snapshot.portable()}

    def _run(
        self, job: RunningJob | None, function: Callable[..., Any], args: Any, kwargs: Any
    ) -> Any:
        if job is not None:
            running.set(job)
        return self._snapshot.run(function, args, kwargs)

    def __repr__(self) -> str:
        return f"<CapturedContext {self._snapshot!r}>"


def capture(app: str | None = None) -> CapturedContext | None:
    """Return what a job takes along from here: None outside of any app's context.

    Args:
        app: The import path by which another process finds the app, as ``module:app`` or
            ``module:make_app()``; None to look for it in the app's module when it is needed.
    """
    context = maybe_current()
    if context is None:
        return None
    return CapturedContext(context.snapshot(), copy_context(), app)


def restore(portable: Mapping[str, Any]) -> CapturedContext:
    """Return what `CapturedContext.portable` was asked of, in this process.

    Raises:
        TaskSetupError: If the app is not to be found here.
    """
    path = portable["app"]
    snapshot = finder.find(path).app_context().snapshot_from(portable["snapshot"])
    return CapturedContext(snapshot, Context(), path)


def call_in_context(
    portable: Mapping[str, Any] | None,
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Call the function in the remote process, in the context that came along, if one did."""
    if portable is None:
        return call_without_app(function, args, kwargs)
    return restore(portable).run(function, args, kwargs)


def call_without_app(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Call the function without any app; a coroutine that it returns is run to its end.

    What the function sets in context variables stays its own.
    """
    return copy_context().run(_call, function, args, kwargs)


def _call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    result = function(*args, **kwargs)
    return run_coroutine(result) if type(result) is CoroutineType else result
