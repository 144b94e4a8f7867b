"""`JobEngine`: the interface between a pool and what runs its jobs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from dewar.tasks.job import Job

#: How long a job may run on that was asked to end, in seconds, before it is stopped.
STOP_GRACE = 3.0


class Ability(Enum):
    """What only some engines can do. The value completes "the engine cannot ..."."""

    CANCEL_QUEUED = "cancel a job that waits"
    ASK_TO_STOP = "ask a job that runs to end"
    STOP = "stop a job that runs"
    SOFT_TIMEOUT = "end a job after a soft timeout"
    TIMEOUT = "stop a job after a timeout"
    PROGRESS = "report progress"
    PRIORITY = "run jobs by their priority"
    SURVIVE_WORKER = "run a job again whose worker died"
    SURVIVE_BROKER = "keep jobs over a restart of the broker"


class EngineClosed(RuntimeError):  # noqa: N818  # what it says is what happened
    """Raised for a job that comes after the shutdown, as `concurrent.futures` raises its base."""


class JobContext(Protocol):
    """The part of the submitter's context that the job runs in."""

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call the function in this process, each time in a new context."""

    def portable(self) -> dict[str, Any] | None:
        """Return it as plain JSON, for `context_transfer.restore` in another process.

        None if the function needs no context.
        """


@dataclass(frozen=True, slots=True)
class JobCall:
    """What a job runs: a function with its arguments, and how to run it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    #: None if it was submitted outside of any context.
    context: JobContext | None = None
    #: In seconds from its begin; None for no limit.
    timeout: float | None = None
    #: The same, for the time after which `SoftTimeLimitExceeded` is raised in it.
    soft_timeout: float | None = None
    #: Whether it may begin again if its worker dies. Otherwise it is lost then.
    repeatable: bool = True
    #: Id, task and number of the attempt, for `current_job` on a remote worker. None if the job is
    #: in no ledger.
    described: tuple[str, str, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineStatistics:
    """The numbers of this process's jobs. Remote engines do not know their `workers`."""

    engine: str
    workers: int
    queued: int
    running: int
    finished: int
    #: How many workers have died or were killed, and were replaced.
    replaced: int = 0


class JobEngine(Protocol):
    """Runs jobs. Any thread may call any method at any time."""

    #: As in ``TaskPool(engine=...)``: "threads", "processes", "dask", "celery".
    name: str
    abilities: frozenset[Ability]

    def submit(self, job: Job, call: JobCall) -> None:
        """Run the call later and set the job's result or exception. It never blocks for long.

        Before the call begins, the engine calls ``job.set_running_or_notify_cancel()``. If that
        returns false, it drops the job.
        """

    def stop(self, job: Job, grace: float = STOP_GRACE) -> bool:
        """Ask a running job to end, and stop it if it does not; return whether it was running here.

        A job that is stopped ends with a `CancelledError` as its exception.

        Args:
            job: The job.
            grace: How long a job that was asked may run on, in seconds. An engine that can only ask
                or only stop does not need it.

        Raises:
            NotSupported: If the engine can do neither.
        """

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """Take no more jobs. It may be called more than once.

        Args:
            wait: Wait until all jobs have ended and no thread, process or connection is left.
            cancel_futures: Cancel the jobs that have not begun.
        """

    def statistics(self) -> EngineStatistics:
        """Return the numbers of jobs and workers."""
