"""Giving jobs their outcome: by running the call here, or without running it at all."""

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any
from weakref import ref

from dewar.tasks.engines.interface import JobCall
from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_without_app


class EngineState(Enum):
    """Where an engine is in its life. It only moves down."""

    OPEN = "open"
    CLOSED = "closed"
    BROKEN = "broken"


def refusal() -> RuntimeError:
    """Return the error for a job that comes too late; its text begins as concurrent.futures'."""
    when = "interpreter shutdown" if process_hooks.is_exiting else "shutdown"
    return RuntimeError(
        f"cannot schedule new futures after {when}. A pool that was shut down stays so: make"
        " another, or leave the with block only when the last job was submitted."
    )


def function_name(function: Callable[..., Any]) -> str:
    """Return what a function is called in messages."""
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else repr(function)


def run_here(job: Job, call: JobCall) -> None:
    """Run the call in this thread and set the job's outcome, unless the job was cancelled."""
    if not job.set_running_or_notify_cancel():
        return
    token = running.set(
        RunningJob("", function_name(call.function), 1, partial(set_progress, ref(job)))
    )
    try:
        run = call_without_app if call.context is None else call.context.run
        result = run(call.function, call.args, call.kwargs)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the job's outcome
        job.set_exception(error)
        # The error's traceback knows this frame: it must not lead back to the error.
        del job
    else:
        job.set_result(result)
    finally:
        running.reset(token)


def drop(job: Job) -> None:
    """Cancel a job that has not begun, and tell those who wait for it."""
    job.cancel()
    job.set_running_or_notify_cancel()


def fail(job: Job, error: BaseException) -> None:
    """Give a job that has not begun this outcome, unless it was cancelled."""
    if job.set_running_or_notify_cancel():
        job.set_exception(error)


def set_progress(job: "ref[Job]", progress: Progress) -> None:
    """Keep the progress on the job; who waits for it may have gone."""
    # A weak reference: the job's error leads through its traceback to what is running.
    alive = job()
    if alive is not None:
        alive.progress = progress
