"""The Celery app that runs jobs: Dewar's own, or a user's app with Dewar's task added."""

from collections.abc import Iterable
from typing import Any

from dewar.tasks.errors import MissingExtra

try:
    from celery import Celery
except ModuleNotFoundError as error:
    raise MissingExtra("The engine 'celery'", "celery") from error

from dewar.tasks.engines.celery.settings import CelerySettings
from dewar.tasks.engines.celery.worker_side import WorkerJobRunner

#: The name of the Celery task that runs all jobs.
TASK = "dewar.run"


def make_celery(settings: CelerySettings) -> Celery:
    """Return a Celery app that runs only jobs. It connects when it is first used."""
    app = Celery("dewar", broker=settings.broker, set_as_current=False)
    options: dict[str, Any] = {}
    if settings.is_redis:
        options["visibility_timeout"] = settings.visibility_timeout
        options["socket_connect_timeout"] = settings.connect
        # Longer than the 1 second for which a reader waits for Redis.
        options["socket_timeout"] = max(settings.connect, 2.0)
    app.conf.update(
        task_default_queue=settings.queue,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],  # SECURITY: unpickling a message would run code in it
        broker_transport_options=options,
        broker_connection_timeout=settings.connect,
        broker_connection_retry_on_startup=True,
        # A worker reserves one job for each of its processes, and leaves the rest to others.
        worker_prefetch_multiplier=1,
        # RabbitMQ gives the jobs of a lost connection to other workers at once, so this worker
        # must not continue them. Redis waits for the visibility timeout.
        worker_cancel_long_running_tasks_on_connection_loss=not settings.is_redis,
    )
    return app


def install(app: Celery, allow: Iterable[str], reply_timeout: float = 5.0) -> None:
    """Add the task that runs jobs to the Celery app of the workers.

    SECURITY: anyone who can write to the broker can run each function that `allow` permits, with
    any arguments.

    Args:
        app: The Celery app.
        allow: Modules and packages whose public functions may be run: ``["myapp.jobs"]``.
        reply_timeout: How long a worker waits for the reply that a job may begin, in seconds. After
            that it assumes that the submitting process has ended, and begins the job.
    """
    job_runner = WorkerJobRunner(app, frozenset(allow), reply_timeout)

    def run(task: Any, job: dict[str, Any]) -> None:
        is_repeated = bool((task.request.delivery_info or {}).get("redelivered"))
        job_runner.run(task.request.id, job, is_repeated)

    app.task(
        run,
        bind=True,
        name=TASK,
        Request="dewar.tasks.engines.celery.request:JobRequest",
        serializer="json",
        ignore_result=True,
        # The message is acknowledged when the job has ended, so a dead worker loses no job.
        acks_late=True,
        reject_on_worker_lost=True,
        max_retries=0,
        # Otherwise Celery would add the task to every other app of the process too.
        shared=False,
    )
