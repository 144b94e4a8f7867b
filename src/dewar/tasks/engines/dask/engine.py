"""`DaskEngine`: jobs on a Dask cluster."""

from dewar.support.per_process import PerProcess
from dewar.tasks.engines.dask.settings import DaskSettings
from dewar.tasks.engines.interface import STOP_GRACE, Ability, EngineStatistics, JobCall
from dewar.tasks.errors import MissingExtra, NotSupported
from dewar.tasks.job import Job

try:
    from dewar.tasks.engines.dask.session import DaskSession
except ModuleNotFoundError as error:
    raise MissingExtra("The engine 'dask'", "distributed") from error


class DaskEngine:
    """Runs jobs on the workers of a Dask cluster.

    The user starts and stops the cluster. A forked child opens a new connection, and has none of
    its parent's jobs.

    Args:
        settings: Where the scheduler is.
    """

    name = "dask"
    abilities: frozenset[Ability] = frozenset(
        {
            Ability.CANCEL_QUEUED,
            Ability.SOFT_TIMEOUT,
            Ability.PROGRESS,
            Ability.SURVIVE_WORKER,
        }
    )

    def __init__(self, settings: DaskSettings) -> None:
        self._settings = settings
        self._sessions = PerProcess(lambda: DaskSession(settings))

    def __repr__(self) -> str:
        return f"<DaskEngine {self._settings.address}>"

    def submit(self, job: Job, call: JobCall) -> None:
        """See `dewar.tasks.engines.interface.JobEngine.submit`.

        Raises:
            EngineUnreachable: If the scheduler does not answer.
            NotSupported: For a call with a timeout.
            RuntimeError: After `shutdown`.
            TypeError: If the function or an argument cannot be pickled.
        """
        if call.timeout is not None:
            raise self._cannot(Ability.TIMEOUT)
        self._sessions.get().submit(job, call)

    def stop(self, job: Job, grace: float = STOP_GRACE) -> bool:  # noqa: ARG002  # the interface's
        """See `dewar.tasks.engines.interface.JobEngine.stop`.

        Raises:
            NotSupported: Always.
        """
        raise self._cannot(Ability.STOP)

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """See `dewar.tasks.engines.interface.JobEngine.shutdown`. The cluster keeps running."""
        self._sessions.get().shutdown(wait, cancel_futures)

    def statistics(self) -> EngineStatistics:
        """See `dewar.tasks.engines.interface.JobEngine.statistics`."""
        return self._sessions.get().statistics()

    def _cannot(self, ability: Ability) -> NotSupported:
        return NotSupported(
            self.name,
            ability.value,
            "Its workers run jobs in threads, which cannot be killed. Let the function check the"
            " time, or use processes or Celery.",
        )


def open(url: str) -> DaskEngine:  # noqa: A001  # each engine's module has this function
    """Return the engine of a URL like ``dask://127.0.0.1:8786``.

    Raises:
        TaskSetupError: If it is not such a URL.
    """
    return DaskEngine(DaskSettings.parse(url))
