"""`JobEngine`: what a pool asks of whatever runs its jobs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from dewar.tasks.job import Job


class Ability(Enum):
    """What not every engine can do; the value completes "the engine cannot ..."."""

    CANCEL_QUEUED = "cancel a job that waits"
    STOP = "stop a job that runs"
    TIMEOUT = "stop a job after a timeout"
    PROGRESS = "report progress"
    SURVIVE_WORKER = "run a job again whose worker died"
    SURVIVE_BROKER = "keep jobs over a restart of the broker"


class JobContext(Protocol):
    """What goes along of the context that a job was submitted in."""

    def run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Call the function in this process, in a context of its own; may happen many times."""

    def portable(self) -> dict[str, Any] | None:
        """Return it as plain JSON, from which `context_transfer.restore` makes it elsewhere.

        None where nothing but the function goes along.
        """


@dataclass(frozen=True, slots=True)
class JobCall:
    """What a job runs."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    #: None where it was submitted outside of any context.
    context: JobContext | None = None
    #: In seconds, counted from when it begins; None for as long as it likes.
    timeout: float | None = None
    #: Whether it may begin again where the worker that ran it has died; else it is lost then.
    repeatable: bool = True
    #: Id, task and number of the attempt, for `current_job` on a remote worker. None if the job is
    #: in no ledger.
    described: tuple[str, str, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineStatistics:
    """How an engine is doing. Numbers are of this process; remote engines know no `workers`."""

    engine: str
    workers: int
    queued: int
    running: int
    finished: int
    #: How many workers died or were killed and have been replaced.
    replaced: int = 0


class JobEngine(Protocol):
    """Runs jobs. Any thread may call any method at any time."""

    #: As in ``TaskPool(engine=...)``: "threads", "processes", "dask", "celery".
    name: str
    abilities: frozenset[Ability]

    def submit(self, job: Job, call: JobCall) -> None:
        """Take over a job: run the call some time and set the job's result or exception.

        It never blocks for long. Before the call begins, ``job.set_running_or_notify_cancel()``
        is asked, and where that is false the job is dropped.
        """

    def stop(self, job: Job) -> bool:
        """Stop a job that runs, which then ends with a `CancelledError` as its exception.

        Returns whether it was running here.

        Raises:
            NotSupported: If the engine cannot.
        """

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """Take no more jobs; with `wait`, return when all have ended and nothing is left behind.

        May be called more than once.
        """

    def statistics(self) -> EngineStatistics:
        """Return how it is doing."""
