"""`CeleryEngine`: jobs on Celery workers."""

from dewar.support.per_process import PerProcess
from dewar.tasks.engines.celery.settings import CelerySettings
from dewar.tasks.engines.interface import STOP_GRACE, Ability, EngineStatistics, JobCall
from dewar.tasks.errors import MissingExtra
from dewar.tasks.job import Job

try:
    from celery import Celery

    from dewar.tasks.engines.celery.application import make_celery
    from dewar.tasks.engines.celery.session import CelerySession
except ModuleNotFoundError as error:
    raise MissingExtra("The engine 'celery'", "celery") from error

_RABBITMQ = frozenset(Ability) - {Ability.ASK_TO_STOP, Ability.PRIORITY}
_REDIS = _RABBITMQ - {Ability.SURVIVE_BROKER}


class CeleryEngine:
    """Runs jobs on Celery workers, over Redis or RabbitMQ.

    The user starts the workers and the broker. A forked child opens a new connection, and has none
    of its parent's jobs.

    Args:
        app: The Celery app to send jobs with. `install` adds the task to its workers.
        settings: Where the broker is. By default this is the app's own configuration.
    """

    name = "celery"

    def __init__(self, app: Celery, settings: CelerySettings | None = None) -> None:
        self._app = app
        self._settings = settings or CelerySettings(
            broker=str(app.conf.broker_url), queue=str(app.conf.task_default_queue)
        )
        redis = self._settings.is_redis
        # Dewar cannot know whether Redis stores its queues on a disk.
        self.abilities: frozenset[Ability] = _REDIS if redis else _RABBITMQ
        self._sessions = PerProcess(lambda: CelerySession(app, self._settings))

    def __repr__(self) -> str:
        return f"<CeleryEngine {self._settings.shown}, queue {self._settings.queue}>"

    def submit(self, job: Job, call: JobCall) -> None:
        """See `dewar.tasks.engines.interface.JobEngine.submit`.

        Raises:
            EngineUnreachable: If the broker does not answer.
            NotSupported: If the function cannot be found by its name.
            RuntimeError: After `shutdown`.
            Unserializable: If an argument has no JSON form.
        """
        self._sessions.get().submit(job, call)

    def stop(self, job: Job, grace: float = STOP_GRACE) -> bool:  # noqa: ARG002  # the interface's
        """See `dewar.tasks.engines.interface.JobEngine.stop`.

        Raises:
            EngineUnreachable: If the broker does not answer.
            NotSupported: If the job's worker has a pool without processes.
        """
        return self._sessions.get().stop(job)

    def shutdown(self, wait: bool, cancel_futures: bool) -> None:
        """See `dewar.tasks.engines.interface.JobEngine.shutdown`."""
        self._sessions.get().shutdown(wait, cancel_futures)

    def statistics(self) -> EngineStatistics:
        """See `dewar.tasks.engines.interface.JobEngine.statistics`."""
        return self._sessions.get().statistics()


def open(url: str) -> CeleryEngine:  # noqa: A001  # each engine's module has this function
    """Return the engine of a URL like ``celery+redis://127.0.0.1:6379/0``.

    Raises:
        TaskSetupError: If it is not such a URL.
    """
    settings = CelerySettings.parse(url)
    return CeleryEngine(make_celery(settings), settings)
