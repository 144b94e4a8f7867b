"""What makes the parts of a process's runtime from its settings: the pool, and its jobs."""

import json
from contextlib import suppress
from functools import partial
from typing import Any

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.engines.execution import preload
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.job import Job
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.outbox_insert import describe_record
from dewar.tasks.ledger.owners import LedgerOwner
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.pool import TaskPool
from dewar.tasks.progress import running
from dewar.tasks.runtime.claimed import ClaimedJobs
from dewar.tasks.runtime.job_moments import JobMoments
from dewar.tasks.runtime.outcomes import describe_outcome
from dewar.tasks.runtime.process_jobs import ProcessJobs
from dewar.tasks.runtime.signal_sender import SignalSender
from dewar.tasks.settings import TasksSettings
from dewar.tasks.stored_job import JobFutures

# How many threads run jobs if no setting says so.
_THREADS = 4


def wait_as_running(job: Job) -> None:
    """Wait for a job in a worker process, as its parent wants it done."""
    here = running.get(None)
    if here is not None and here.wait_for is not None:
        here.wait_for(job)


def open_pool(settings: TasksSettings, directory: TaskDirectory) -> TaskPool:
    """Return the pool that runs the jobs of a process."""
    if settings.engine is not None:
        return TaskPool(engine=settings.engine)
    if settings.processes is not None:
        addresses = _first_address(directory)
        return TaskPool(
            processes=settings.processes,
            initializer=preload if addresses else None,
            initargs=addresses,
            max_jobs_per_worker=settings.max_jobs_per_worker,
            max_memory_per_worker=settings.max_memory_per_worker,
        )
    return TaskPool(threads=settings.threads or _THREADS, thread_name_prefix="dewar-task")


def _first_address(directory: TaskDirectory) -> tuple[dict[str, Any], ...]:
    """Return where another process finds one of the tasks; nothing if it cannot."""
    for task in directory.tasks.copy().values():
        with suppress(TaskSetupError):  # the job that needs it has the error
            return (directory.address_of(task).as_dict(),)
    return ()


def process_jobs(
    directory: TaskDirectory,
    ledger: NotifyingLedger,
    owner: LedgerOwner,
    settings: TasksSettings,
    runs_jobs: bool,
) -> ProcessJobs:
    """Return the jobs of a process, which has none yet."""
    return ProcessJobs(
        ledger=ledger,
        owner=owner,
        claimed=ClaimedJobs(_workers(settings), settings.prefetch, runs_jobs),
        futures=JobFutures(),
        describe=partial(_describe, directory),
        clock=directory.clock,
        monotonic=directory.monotonic,
        queues=settings.queues,
        limits=directory.limits,
        moments=JobMoments(SignalSender(directory), ledger.get_many),
    )


def _workers(settings: TasksSettings) -> int | None:
    """Return how many jobs run at a time; None if only the remote side knows."""
    return (
        None if settings.engine is not None else settings.processes or settings.threads or _THREADS
    )


def _describe(directory: TaskDirectory, record: JobRecord) -> str:
    """Return the callback's body of a job that ended without an attempt's outcome."""
    error = None if record.error is None else json.loads(record.error)
    try:
        return describe_outcome(record, record.state, None, error, directory.json)
    except Exception:  # noqa: BLE001  # the app's own JSON; the transaction must not fail with it
        return describe_record(record)
