"""`Tasks`: the background tasks of an app, and their jobs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

from dewar.contexts.current import contexts
from dewar.tasks.app_tasks import AppTasks
from dewar.tasks.directory import LINKS, TaskDirectory
from dewar.tasks.errors import QueueFull, TaskSetupError
from dewar.tasks.interface import TasksApp
from dewar.tasks.ledger.ids import IdGenerator
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.retry import BackoffRule, RetryPolicy
from dewar.tasks.runtime.runtime import TasksRuntime
from dewar.tasks.runtime.shared_ledger import Runtimes
from dewar.tasks.serialization.task_address import EXTENSION
from dewar.tasks.settings import TasksSettings
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.task import Arguments, Submission, Task
from dewar.tasks.task_options import TaskOptions, name_of

P = ParamSpec("P")
R = TypeVar("R")

# How many jobs of a task may wait by default: some minutes' work, and no more than fits on a disk.
_MAX_QUEUE = 10_000
_runtimes = Runtimes()
# Where an app has its `AppTasks`, among its extensions.
_PART = f"{EXTENSION}.app"


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
        self._given = settings
        self._ids = IdGenerator()
        self._latest = AppTasks(TaskDirectory(settings), _runtimes)
        # Those of all apps that somebody uses.
        self._all: WeakSet[AppTasks] = WeakSet([self._latest])
        self._has_many = False
        if app is not None:
            self.init_app(app)

    def __repr__(self) -> str:
        app, names = self.app, ", ".join(sorted(self._latest.directory.tasks))
        return f"<Tasks of {'no app' if app is None else app.name}: {names or 'none'}>"

    @property
    def app(self) -> TasksApp | None:
        """The app that the tasks belong to: the current one, or the one that was attached last."""
        return self._here.directory.app

    def init_app(self, app: TasksApp) -> None:
        """Attach the tasks to an app: jobs run in its context, in the processes that serve it.

        The same tasks may be attached to several apps, one after the other or at the same time, as
        by a ``create_app()`` that a test suite calls for each test. Each app has its own settings
        and its own ledger. What is called in the context of an app is for that app; without a
        context it is for the app that was attached last.

        Raises:
            TaskSetupError: If the app has tasks already.
        """
        if EXTENSION in app.extensions:
            raise TaskSetupError(
                f"{self!r} cannot be attached to {app.name!r}, which has"
                f" {app.extensions[EXTENSION]!r}: an app has one Tasks. Declare all its tasks with"
                " the same object, and attach it once."
            )
        latest = self._latest
        if latest.directory.app is None:
            latest.directory.app = app
        else:
            tasks = latest.directory.tasks
            latest = self._latest = AppTasks(TaskDirectory(self._given, tasks), _runtimes)
            latest.directory.app = app
            self._all.add(latest)
            self._has_many = True
        app.extensions[EXTENSION] = self
        app.extensions[_PART] = latest
        app.register_error_handler(QueueFull, _busy)  # first: it says if it is too late
        app._dewar_lifespan.begin_functions.append(latest.serve)
        app._dewar_lifespan.end_functions.append(latest.stop)

    @property
    def _here(self) -> AppTasks:
        """The part of the current app if it has one, else of the app that was attached last."""
        # PERF: as `maybe_current`, without a call. Most processes have one app.
        if self._has_many and (state := contexts.reader(None)) and state[0]:
            extensions = state[0].app.extensions
            if extensions.get(EXTENSION) is self:
                part: AppTasks = extensions[_PART]
                return part
        return self._latest

    # Declaring.

    def task(
        self,
        name: str | None = None,
        *,
        retries: int = 0,
        backoff: BackoffRule = 1.0,
        timeout: float | None = None,
        idempotent: bool = True,
        max_queue: int | None = _MAX_QUEUE,
    ) -> Callable[[Callable[P, R]], Task[P, R]]:
        """Make a task of the decorated function. It can still be called; `submit` accepts a job.

        Args:
            name: Its name in the ledger; by default the function's name. Waiting jobs refer to it,
                so it should stay the same if the function is renamed.
            retries: How many times a job runs again after it raised an error.
            backoff: The seconds before the next attempt: a number that doubles each time, a list,
                or a function of the failed attempt's number (1 for the first).
            timeout: The seconds after which a job is stopped; not on threads.
            idempotent: Whether a job may run again if its process died while it was running. If
                not, it becomes lost.
            max_queue: How many jobs of the task may wait; None for any number.

        Raises:
            TaskSetupError: If another task has the name, or a value is not possible.
        """
        if callable(name):
            raise TaskSetupError("Write the parentheses: @tasks.task(), or @tasks.task(retries=3).")
        policy = RetryPolicy(retries, backoff, idempotent)
        tasks = self._latest.directory.tasks

        def declare(function: Callable[P, R]) -> Task[P, R]:
            own_name = name_of(function)  # also a check
            options = TaskOptions(
                name=own_name if name is None else name,
                policy=policy,
                timeout=timeout,
                max_queue=max_queue,
            )
            if options.name in tasks:
                raise TaskSetupError(
                    f"There is a task {options.name!r} already. Name this one:"
                    " @tasks.task('another name')."
                )
            task = Task(function, options, self._directory, self._submit, self._submit_all)
            tasks[options.name] = task
            return task

        return declare

    def names(self) -> list[str]:
        """Return the names of the tasks."""
        return list(self._latest.directory.tasks)

    def maybe_task(self, name: str) -> Task[Any, Any] | None:
        """Return the task with a name, if there is one."""
        return self._latest.directory.tasks.get(name)

    def find(self, name: str) -> Task[Any, Any]:
        """Return the task with a name.

        Raises:
            UnknownTask: If there is none.
        """
        task: Task[Any, Any] = self._latest.directory.find(name)
        return task

    # Jobs.

    def get(self, id: str) -> StoredJob:
        """Return a job by its id, whichever process accepted it. Its `result` can be waited for.

        Raises:
            UnknownJob: If the ledger has none.
        """
        return self.runtime.job(id)

    def status(self, id: str) -> JobStatus:
        """Return the status of a job in the ledger.

        Raises:
            UnknownJob: If it has none.
        """
        return self.runtime.status(id)

    def status_of(self, record: JobRecord) -> JobStatus:
        """Return the status that a record of the ledger describes."""
        return JobStatus.of(record, self.json.loads)

    def cancel(self, id: str, *, running: bool = False) -> bool:
        """Cancel a job, whichever process runs it; return whether it will not run to its end.

        Args:
            id: The job's id.
            running: Whether to stop it if it has begun.

        Raises:
            UnknownJob: If the ledger has none.
            NotSupported: If it runs and the engine cannot stop it.
        """
        return self.runtime.cancel(id, running)

    def set_links(self, app: TasksApp, links: Callable[[str], Mapping[str, str]]) -> None:
        """Set the function that returns the URLs of a job in an app. A blueprint calls this."""
        app.extensions[LINKS] = links

    def _submit(
        self,
        task: Task[Any, Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        submission: Submission,
    ) -> StoredJob:
        """Accept a job; see `Task.submit`."""
        new = task.job_maker(submission, self._ids.new)(args, kwargs)
        return self._here.runtime.accept_one(new, task)

    def _submit_all(
        self, task: Task[Any, Any], calls: Sequence[Arguments], submission: Submission
    ) -> list[StoredJob]:
        """Accept a job for each call; see `Task.map`."""
        make = task.job_maker(submission, self._ids.new)
        return self.runtime.accept([make(args, kwargs) for args, kwargs in calls], task)

    # This process.

    @property
    def runtime(self) -> TasksRuntime:
        """This process's part in the jobs; it begins if it has not yet."""
        return self._here.runtime

    @property
    def ledger(self) -> Ledger:
        """The ledger of this process, which begins its part if it has not yet."""
        return self.runtime.ledger

    def open_ledger(self) -> Ledger:
        """Return the ledger without beginning to run jobs. The caller closes it.

        Raises:
            TaskSetupError: If the settings name no possible ledger.
            MissingExtra: If its libraries are not installed.
        """
        directory = self._directory()
        location, durable = directory.ledger_location(), directory.settings().durable
        return open_ledger(location, durable=durable)

    def start(self) -> None:
        """Begin to run jobs in this process, as serving the app and the first job do."""
        _ = self.runtime

    def stop(self, timeout: float | None = None) -> bool:
        """Stop running jobs of all apps: give back what has not begun, and wait for the others.

        Args:
            timeout: In seconds; ``TASKS_SHUTDOWN_TIMEOUT`` by default.

        Returns:
            Whether nothing is left running here.
        """
        ended = {part.stop(timeout) for part in list(self._all)}
        return False not in ended

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
        return self._here.directory


def _busy(error: QueueFull) -> tuple[dict[str, str], int, dict[str, str]]:
    """Answer a client whose job was not accepted (RFC 9110, 15.6.4)."""
    return {"error": f"{error.what} has too many jobs waiting."}, 503, {"Retry-After": "5"}
