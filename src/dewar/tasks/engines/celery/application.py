"""A Celery app that runs jobs: one of ours, or a team's own with our task added."""

from collections.abc import Iterable
from typing import Any

from celery import Celery

from dewar.tasks.engines.celery.settings import CelerySettings
from dewar.tasks.engines.celery.worker_side import WorkerJobRunner

#: The name of the one task.
TASK = "dewar.run"


def make_celery(settings: CelerySettings) -> Celery:
    """Return a Celery app for nothing but jobs. It connects when it is used, not before."""
    app = Celery("dewar", broker=settings.broker, set_as_current=False)
    options: dict[str, Any] = {}
    if settings.is_redis:
        options["visibility_timeout"] = settings.visibility_timeout
        options["socket_connect_timeout"] = settings.connect
        # Longer than the second for which Redis lets a reader wait.
        options["socket_timeout"] = max(settings.connect, 2.0)
    app.conf.update(
        task_default_queue=settings.queue,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],  # SECURITY: reading a pickle runs what is in it
        broker_transport_options=options,
        broker_connection_timeout=settings.connect,
        broker_connection_retry_on_startup=True,
        # A worker takes one job for each of its processes, and leaves the rest to others.
        worker_prefetch_multiplier=1,
        # RabbitMQ gives the jobs of a lost connection to others at once: they should not run
        # here as well. Redis does not, and then there is no need.
        worker_cancel_long_running_tasks_on_connection_loss=not settings.is_redis,
    )
    return app


def install(app: Celery, allow: Iterable[str], reply_timeout: float = 5.0) -> None:
    """Add the task that runs jobs to a Celery app; for its workers.

    SECURITY: whoever can write to the broker can have each function run that `allow` allows, with
    any arguments.

    Args:
        app: The Celery app.
        allow: Modules and packages whose public functions may be run: ``["myapp.jobs"]``.
        reply_timeout: How long, in seconds, a worker waits for leave to begin before it takes the
            process that submitted the job for gone, and begins.
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
        # A job is done when it has ended, not when it is fetched: so none is lost with a worker.
        acks_late=True,
        reject_on_worker_lost=True,
        max_retries=0,
        # Of this app alone: Celery would give it to every other app of the process too.
        shared=False,
    )
