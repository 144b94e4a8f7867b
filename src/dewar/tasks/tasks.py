"""`Tasks`: the background tasks of an app, and their jobs."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import tzinfo
from functools import partial
from typing import Any
from weakref import ref

from dewar.tasks.app_tasks import MakeRuntime
from dewar.tasks.attached_apps import AttachedApps
from dewar.tasks.directory import LINKS, TaskDirectory
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.interface import TasksApp
from dewar.tasks.ledger.ids import is_workflow
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.ledger.workflow_record import WorkflowRecord
from dewar.tasks.placement import DEFAULT_QUEUE, checked_policy
from dewar.tasks.retry import BackoffRule, RetryPolicy
from dewar.tasks.runtime.runtime import TasksRuntime
from dewar.tasks.schedules.task_schedule import TaskSchedule, schedule_of
from dewar.tasks.settings import TasksSettings
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.submission import Delay
from dewar.tasks.submitter import Submitter
from dewar.tasks.task import Task, TaskDecorator
from dewar.tasks.task_options import MAX_QUEUE, TaskOptions, UniqueRule, limits_of, name_of
from dewar.tasks.workflows.workflow import Workflow
from dewar.tasks.workflows.workflow_status import status_of


class Tasks:
    """The tasks of an app, and their jobs. Without an app, they belong to the program.

    ::

        tasks = Tasks(app)

        @tasks.task(retries=3)
        def resize(path, width):
            ...

        @app.post("/pictures")
        def add():
            return resize.submit(save(request.files["picture"]), width=800).accepted()

    No thread is started and no file is created before the first job, or before the app is served.

    Args:
        app: The app. Without it, call `init_app` later or never.
        settings: Fields of `TasksSettings`. They replace the app's ``TASKS_...`` configuration.

    Raises:
        TaskSetupError: For a setting that does not exist.
    """

    def __init__(self, app: TasksApp | None = None, /, **settings: Any) -> None:
        # The setting `app` is a path, so an object of that name is the app.
        if app is None and not isinstance(settings.get("app"), str | None):
            app = settings.pop("app")
        self._apps = AttachedApps(settings)
        self._submitter = Submitter(self._apps)
        self._apps.here.directory.declared_in = ref(self)
        #: The tasks by name, the same for all apps.
        self._tasks = self._apps.here.directory.tasks
        if app is not None:
            self.init_app(app)

    def __repr__(self) -> str:
        app, names = self.app, ", ".join(sorted(self._tasks))
        return f"<Tasks of {'no app' if app is None else app.name}: {names or 'none'}>"

    @property
    def app(self) -> TasksApp | None:
        """The app that the tasks belong to: the current one, or the one that was attached last."""
        return self._apps.here.directory.app

    def init_app(self, app: TasksApp) -> None:
        """Attach the tasks to an app: jobs run in its context, in the processes that serve it.

        The same tasks may be attached to several apps, one after the other or at the same time, as
        by a ``create_app()`` that a test suite calls for each test. Each app has its own settings
        and its own ledger. What is called in the context of an app is for that app; without a
        context it is for the app that was attached last.

        Raises:
            TaskSetupError: If the app has tasks already.
        """
        self._apps.attach(app, self)

    def task(
        self,
        name: str | None = None,
        *,
        retries: int = 0,
        backoff: BackoffRule = 1.0,
        timeout: float | None = None,
        soft_timeout: float | None = None,
        idempotent: bool = True,
        max_queue: int | None = MAX_QUEUE,
        queue: str = DEFAULT_QUEUE,
        priority: int = 0,
        rate: str | None = None,
        max_running: int | None = None,
        unique: UniqueRule = False,
        on_duplicate: str = "return",
        every: Delay | None = None,
        cron: str | None = None,
        time_zone: str | tzinfo | None = None,
        missed: str | None = None,
    ) -> TaskDecorator:
        """Make a task of the decorated function. It can still be called; `submit` accepts a job.

        Args:
            name: Its name in the ledger; by default the function's name. Waiting jobs refer to it,
                so it should stay the same if the function is renamed.
            retries: How many times a job runs again after it raised an error.
            backoff: The seconds before the next attempt: a number that doubles each time, a list,
                or a function of the failed attempt's number (1 for the first).
            timeout: The seconds after which a job is stopped; not on threads.
            soft_timeout: The seconds after which its function gets a `SoftTimeLimitExceeded`.
            idempotent: Whether a job may run again if its process died while it was running. If
                not, it becomes lost.
            max_queue: How many jobs of the task may wait; None for any number.
            queue: The queue of its jobs. A process may serve some queues only.
            priority: From -100 to 100. Jobs with a higher one go first.
            rate: How many may begin in a second, minute, hour or day, over all processes: ``10/m``.
            max_running: How many of its jobs may run at a time, over all processes.
            unique: Whether one job at most has the same arguments; or a function of them that
                returns what has to be different.
            on_duplicate: What `submit` does with another one: ``return`` the job that is there,
                ``refuse`` it with a `Duplicate`, or ``replace`` the job that waits.
            every: The seconds, or the `~datetime.timedelta`, after which one job of it is due each
                time, over all processes: at the multiples of it since 1970 in UTC.
            cron: The due times as a cron expression instead: ``30 3 * * MON-FRI``.
            time_zone: The zone of `cron`, or its name: ``Europe/Berlin``; UTC by default.
            missed: What becomes of due times at which no process ran: ``skip`` them, one job
                ``once`` for all of them, which is the default, or one for ``all``, for each.

        Raises:
            TaskSetupError: If another task has the name, or a value is not possible.
        """
        if callable(name):
            raise TaskSetupError("Write the parentheses: @tasks.task(), or @tasks.task(retries=3).")
        policy = RetryPolicy(retries, backoff, idempotent)
        schedule = schedule_of(every, cron, time_zone, missed)

        def declare(function: Callable[..., Any]) -> Any:
            options = TaskOptions(
                name=name_of(function, name),
                policy=policy,
                timeout=timeout,
                soft_timeout=soft_timeout,
                max_queue=max_queue,
                queue=queue,
                priority=priority,
                limits=limits_of(rate, max_running),
                unique=unique,
                on_duplicate=checked_policy(on_duplicate),
                schedule=schedule,
            )
            return self._submitter.make_task(function, options)

        return declare

    def names(self) -> list[str]:
        """Return the names of the tasks."""
        return list(self._tasks)

    def schedules(self) -> dict[str, TaskSchedule]:
        """Return the schedules of the tasks that have one, by the names of the tasks."""
        return self._directory().schedules()

    def maybe_task(self, name: str) -> Task[Any, Any] | None:
        """Return the task with a name, if there is one."""
        return self._tasks.get(name)

    def find(self, name: str) -> Task[Any, Any]:
        """Return the task with a name.

        Raises:
            UnknownTask: If there is none.
        """
        task: Task[Any, Any] = self._apps.here.directory.find(name)
        return task

    def get(self, id: str) -> StoredJob:
        """Return a job by its id, whichever process accepted it. Its `result` can be waited for.

        Raises:
            UnknownJob: If the ledger has none.
        """
        return self.runtime.lookup.job(id)

    def get_workflow(self, id: str) -> Workflow:
        """Return a workflow by its id, whichever process accepted it.

        Raises:
            UnknownJob: If the ledger has none.
        """
        return Workflow.find(id, self.runtime)

    def status(self, id: str) -> JobStatus:
        """Return the status of a job, or of a workflow, in the ledger.

        Raises:
            UnknownJob: If it has none.
        """
        return self.get_workflow(id).status() if is_workflow(id) else self.runtime.lookup.status(id)

    def status_of(self, record: JobRecord | WorkflowRecord) -> JobStatus:
        """Return the status that a record of the ledger describes."""
        return status_of(record, self.json.loads)

    def cancel(self, id: str, *, running: bool = False) -> bool:
        """Cancel a job or a workflow, whoever has it; return whether that was possible.

        Args:
            id: The id.
            running: Whether to ask it to end, or stop it, if it has begun; see `Job.stop`.

        Raises:
            UnknownJob: If the ledger has none.
            NotSupported: If it runs and the engine can do neither.
        """
        cancel = self.runtime.cancel_workflow if is_workflow(id) else self.runtime.cancel
        return cancel(id, running)

    def set_links(self, app: TasksApp, links: Callable[[str], Mapping[str, str]]) -> None:
        """Set the function that returns the URLs of a job in an app. A blueprint calls this."""
        app.extensions[LINKS] = links

    @property
    def runtime(self) -> TasksRuntime:
        """This process's part in the jobs; it begins if it has not yet."""
        return self._apps.here.runtime

    @property
    def ledger(self) -> NotifyingLedger:
        """The ledger of this process, which begins its part if it has not yet."""
        return self.runtime.ledger

    def open_ledger(self) -> Ledger:
        """Return the ledger without beginning to run jobs. The caller closes it.

        Raises:
            TaskSetupError: If the settings name no possible ledger.
            MissingExtra: If its libraries are not installed.
        """
        return self._directory().open_ledger()

    def ledger_location(self) -> str:
        """Return where the ledger is: an absolute path, or a URL."""
        return self._directory().ledger_location()

    def start(self) -> None:
        """Begin to run jobs in this process, as serving the app and the first job do."""
        _ = self.runtime

    def stop(self, timeout: float | None = None) -> bool:
        """Stop running jobs of all apps; return whether nothing is left running here.

        What has not begun is given back, and the others are waited for.

        Args:
            timeout: In seconds; ``TASKS_SHUTDOWN_TIMEOUT`` by default.
        """
        return self._apps.stop(timeout)

    def immediate(self, *, propagate: bool = False) -> AbstractContextManager[None]:
        """Return a context manager for tests: in the block, `submit` runs the job and then returns.

        The job runs in the thread that submits it, with its retries but without their pauses, and
        takes the way of all jobs: through JSON, with the context that travels with it. Nothing is
        stored, and no callback is sent. It holds for all threads of this process.

        Args:
            propagate: Whether `submit` raises what a job raises. Otherwise its `result` does.
        """
        # Here, because only tests need it.
        from dewar.tasks.runtime.manual_runtime import ImmediateRuntime

        return self.using(partial(ImmediateRuntime, propagate=propagate))

    def using(self, make: MakeRuntime) -> AbstractContextManager[None]:
        """Return a context manager in which jobs go to other runtimes. For tools of tests.

        Args:
            make: Makes the runtime of an app, and begins it.
        """
        return self._apps.using(make)

    def settings(self) -> TasksSettings:
        """Return the settings: those given here, and the others from the app's configuration.

        Raises:
            TaskSetupError: For a setting that does not exist, or a value that is not possible.
        """
        return self._directory().settings()

    @property
    def json(self) -> Any:
        """What writes and reads arguments and results: the app's provider, or `json`."""
        return self._directory().json

    def _directory(self) -> TaskDirectory:
        return self._apps.here.directory
