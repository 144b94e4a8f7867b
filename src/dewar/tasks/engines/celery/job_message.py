"""What a job is on its way to a worker: plain JSON, made here and read by `WorkerJobRunner`."""

from typing import Any

from dewar.tasks.engines.celery.function_names import importable_name
from dewar.tasks.engines.interface import JobCall
from dewar.tasks.job import Job
from dewar.tasks.runtime.attempt import Attempt
from dewar.tasks.serialization.values import pack_arguments


def job_message(job: Job, call: JobCall, reply: str) -> dict[str, Any]:
    """Return what a worker needs to know of a job.

    Args:
        job: Whose call it is.
        call: What it runs.
        reply: The reply queue's name.

    Raises:
        NotSupported: If the function cannot be found by its name.
        Unserializable: If an argument has no JSON form.
    """
    return {
        "function": importable_name(call.function),
        "arguments": pack_arguments(call.args, call.kwargs),
        "context": call.context.portable() if call.context is not None else None,
        "timeout": call.timeout,
        "repeatable": call.repeatable,
        "known": _known(job, call),
        "reply": reply,
    }


def _known(job: Job, call: JobCall) -> dict[str, Any]:
    """Return what ``current_job`` says of the job."""
    if isinstance(job, Attempt):
        return {"id": job.record.id, "task": job.record.task, "attempt": job.number}
    return {"id": "", "task": call.function.__qualname__, "attempt": 1}
