"""`call_on_worker`: calls a job's function in a process that another has sent it to."""

from collections.abc import Callable, Mapping
from typing import Any

from dewar.tasks.engines.soft_limits import SoftLimits
from dewar.tasks.interruptible import Interruptible
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.raisers import raiser_here
from dewar.tasks.serialization.context_transfer import call_in_context


def call_on_worker(
    function: Callable[..., Any],
    arguments: tuple[Any, Mapping[str, Any]],
    context: Mapping[str, Any] | None,
    known: Mapping[str, Any],
    attempt: int,
    report: Callable[[Progress], object],
) -> Any:
    """Call the function of a job in its context, with its soft limit; return its result.

    Call it in a new `contextvars.Context`.

    Args:
        function: The function.
        arguments: The positional and the named ones.
        context: The submitter's context, as plain JSON.
        known: What `dewar.tasks.engines.remote.session.description_of` has returned.
        attempt: How many times a worker has begun it.
        report: Sends its progress.
    """
    job = Interruptible(known["task"], known.get("soft_timeout"), raiser_here)
    number = known["attempt"] + attempt - 1
    running.set(RunningJob(known["id"], known["task"], number, job, report))
    # A task's own function is guarded where it is called; see `dewar.tasks.engines.settle`.
    called = function if known["id"] else job.guard(function)
    # Of its own: a fork of the worker inherits none, and a job without a limit needs no thread.
    with SoftLimits().watching(job):
        return call_in_context(context, called, *arguments)
