"""Setting the outcome of jobs, by running the call here or without running it."""

from collections.abc import Callable
from enum import Enum
from functools import partial
from threading import Thread
from typing import Any
from weakref import ref

from dewar.tasks.engines.interface import EngineClosed, JobCall
from dewar.tasks.engines.process_hooks import process_hooks
from dewar.tasks.engines.soft_limits import SoftLimits
from dewar.tasks.errors import ThreadRefused
from dewar.tasks.interruptible import Interruptible
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_without_app


class EngineState(Enum):
    """Whether an engine takes jobs. It changes from open to closed or broken, never back."""

    OPEN = "open"
    CLOSED = "closed"
    BROKEN = "broken"


def refusal() -> EngineClosed:
    """Return the error for a submit after the shutdown. It begins like `concurrent.futures`'."""
    when = "interpreter shutdown" if process_hooks.is_exiting else "shutdown"
    return EngineClosed(
        f"cannot schedule new futures after {when}. A pool cannot be opened again: make a new one,"
        " or submit the last job before the end of the with block."
    )


def function_name(function: Callable[..., Any]) -> str:
    """Return the name of a function for messages; of another callable, the name of its class."""
    if isinstance(function, partial):
        return function_name(function.func)
    # Not its repr, which may be long, or fail.
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else f"a {type(function).__name__}"


def call_name(call: JobCall) -> str:
    """Return the name of a call for messages: of its task, or of its function."""
    return function_name(call.function) if call.described is None else call.described[1]


def run_here(job: Job, call: JobCall, soft_limits: SoftLimits) -> None:
    """Run the call in this thread and set the job's outcome, unless the job was cancelled."""
    # Before it is running, because others may stop it from then on.
    name = call_name(call)
    interruptible = job.interruptible = Interruptible(name, call.soft_timeout)
    if not job.set_running_or_notify_cancel():
        return
    report = partial(set_progress, ref(job))
    token = running.set(RunningJob("", name, 1, interruptible, report))
    try:
        run = call_without_app if call.context is None else call.context.run
        function = guarded(call, interruptible)
        if call.soft_timeout is None:
            result = run(function, call.args, call.kwargs)
        else:
            with soft_limits.watching(interruptible):
                result = run(function, call.args, call.kwargs)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the job's outcome
        job.set_exception(error)
        # The error's traceback holds this frame, which would hold the error through the job.
        del job
    else:
        job.set_result(result)
    finally:
        running.reset(token)


def guarded(call: JobCall, interruptible: Interruptible) -> Callable[..., Any]:
    """Return the function of a call, which others reach through the `interruptible`.

    A task's own function is guarded where it is called, by `dewar.tasks.engines.execution`: what
    surrounds it must not be interrupted.
    """
    return interruptible.guard(call.function) if call.described is None else call.function


def start_thread(thread: Thread, what: str) -> None:
    """Start a thread for a pool.

    Raises:
        ThreadRefused: If the system has none to give.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise ThreadRefused(what, error) from error


def drop(job: Job) -> None:
    """Cancel a job that has not begun, and wake the threads that wait for it."""
    job.cancel()
    job.set_running_or_notify_cancel()


def fail(job: Job, error: BaseException) -> None:
    """Set the exception of a job that has not begun, unless it was cancelled."""
    if job.set_running_or_notify_cancel():
        job.set_exception(error)


def set_progress(job: "ref[Job]", progress: Progress) -> None:
    """Set the progress of a job, if it is still alive."""
    # The reference is weak: the job's error holds the running function through its traceback.
    alive = job()
    if alive is not None:
        alive.progress = progress
