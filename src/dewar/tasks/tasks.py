"""`Tasks`: what an app does in the background, and the jobs that come of it."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar

from dewar.contexts.current import maybe_current
from dewar.tasks.errors import QueueFull, TaskSetupError, UnknownJob, UnknownTask
from dewar.tasks.ledger.ids import IdGenerator
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.records import JobRecord, NewJob
from dewar.tasks.retry import BackoffRule, RetryPolicy
from dewar.tasks.runtime.runtime import TasksRuntime, locate_ledger, open_configured_ledger
from dewar.tasks.serialization.task_address import EXTENSION, TaskAddress, app_path
from dewar.tasks.serialization.values import ordered_dumps, pack_arguments
from dewar.tasks.settings import TasksSettings
from dewar.tasks.shared_ledger import LedgerUsers
from dewar.tasks.status import JobStatus
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.task import Arguments, Submission, Task, TaskOptions

P = ParamSpec("P")
R = TypeVar("R")

# How many jobs of a task may wait, where it does not say: some minutes' work, and no more than
# fits on a disk.
_MAX_QUEUE = 10_000
_ledger_users = LedgerUsers()


class TasksApp(Protocol):
    """What tasks ask of an app."""

    import_name: str
    instance_path: str
    json: Any
    extensions: dict[str, Any]

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration."""

    def app_context(self) -> Any:
        """Return a context without a request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""

    def on_start(self, f: Callable[[], Any]) -> Any:
        """Call `f` when a process begins to serve."""

    def on_stop(self, f: Callable[[float], Any]) -> Any:
        """Call `f` when a process has ended to serve."""

    def register_error_handler(self, code_or_exception: Any, f: Callable[..., Any]) -> None:
        """Have `f` answer an error."""


class Tasks:
    """The tasks of an app, and their jobs. Without an app they belong to the program.

    ::

        tasks = Tasks(app)

        @tasks.task(retries=3)
        def resize(path, width):
            ...

        @app.post("/pictures")
        def add():
            return resize.submit(save(request.files["picture"]), width=800).accepted()

    Nothing is started and no file is made before the first job, or before the app is served.

    Args:
        app: The app; or leave it out, and call `init_app` later or never.
        settings: What `TasksSettings` has, in place of the app's ``TASKS_...`` configuration.

    Raises:
        TaskSetupError: For a setting that there is not.
    """

    def __init__(self, app: TasksApp | None = None, **settings: Any) -> None:
        self._given = settings
        TasksSettings.of(settings, {})
        self._tasks: dict[str, Task[Any, Any]] = {}
        self._links: Callable[[str], Mapping[str, str]] | None = None
        self._lock = threading.Lock()
        self._ids = IdGenerator()
        self._runtime: TasksRuntime | None = None
        #: Whether the app is served by this process, now.
        self.is_served = False
        self.app: TasksApp | None = None
        if app is not None:
            self.init_app(app)

    def __repr__(self) -> str:
        whose = "no app" if self.app is None else self.app.name
        return f"<Tasks of {whose}: {', '.join(sorted(self._tasks)) or 'none'}>"

    def init_app(self, app: TasksApp) -> None:
        """Belong to an app: jobs run in its context, and begin and end with its processes.

        Raises:
            TaskSetupError: If the app has other tasks, or these another app.
        """
        if self.app is not None or EXTENSION in app.extensions:
            raise TaskSetupError(
                f"{self!r} cannot belong to {app.name!r}: an app has one Tasks, and Tasks have one"
                " app. Declare all tasks of an app with the same object."
            )
        self.app = app
        app.extensions[EXTENSION] = self
        app.on_start(self._serve)
        app.on_stop(self.stop)
        app.register_error_handler(QueueFull, _busy)

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
        """Make a task of the decorated function. It can still be called; `submit` hands it over.

        Args:
            name: What the ledger calls it; the function's name by default. Jobs that wait are
                found by it, so it should outlive renaming the function.
            retries: How many times it runs again after it raised an error.
            backoff: The seconds before the next attempt: a number, which doubles with each, a
                list, or a function of the attempt that failed (1 for the first).
            timeout: The seconds after which it is stopped. Threads cannot be.
            idempotent: Whether it may run again when its process died half way. Where not, such
                a job is marked lost.
            max_queue: How many jobs of it may wait; None for any number.

        Raises:
            TaskSetupError: If another task has the name, or a value cannot be.
        """
        if callable(name):
            raise TaskSetupError("Write the brackets: @tasks.task(), or @tasks.task(retries=3).")
        policy = RetryPolicy(retries, backoff, idempotent)
        if timeout is not None and not timeout > 0:
            raise TaskSetupError(f"timeout={timeout!r} should be more than 0 seconds.")

        def declare(function: Callable[P, R]) -> Task[P, R]:
            options = TaskOptions(
                name=name or function.__name__, policy=policy, timeout=timeout, max_queue=max_queue
            )
            if options.name in self._tasks:
                raise TaskSetupError(
                    f"There is a task {options.name!r} already. Name this one:"
                    " @tasks.task('another name')."
                )
            task = self._tasks[options.name] = Task(function, options, self)
            return task

        return declare

    def names(self) -> list[str]:
        """Return the names of the tasks."""
        return list(self._tasks)

    def maybe_task(self, name: str) -> Task[Any, Any] | None:
        """Return the task with a name, if there is one."""
        return self._tasks.get(name)

    def find(self, name: str) -> Task[Any, Any]:
        """Return the task with a name.

        Raises:
            UnknownTask: If there is none.
        """
        task = self._tasks.get(name)
        if task is None:
            raise UnknownTask(f"There is no task {name!r} here, but {', '.join(self._tasks)}.")
        return task

    # Jobs.

    def get(self, id: str) -> StoredJob:
        """Return a job by its id, whichever process accepted it; its `result` can be waited for.

        Raises:
            UnknownJob: If the ledger has none.
        """
        return self.runtime.job(id)

    def status(self, id: str) -> JobStatus:
        """Return what the ledger knows of a job now.

        Raises:
            UnknownJob: If it has none.
        """
        record = self.ledger.get(id)
        if record is None:
            raise UnknownJob(id)
        return self.status_of(record)

    def status_of(self, record: JobRecord) -> JobStatus:
        """Return what a record of the ledger says."""
        return JobStatus.of(record, self.json.loads)

    def cancel(self, id: str, *, running: bool = False) -> bool:
        """Cancel a job, whichever process has it; return whether it will not run to its end.

        Args:
            id: The job's id.
            running: Cancel it even if it has begun.

        Raises:
            UnknownJob: If the ledger has none.
            NotSupported: If it runs and the engine cannot stop it.
        """
        return self.runtime.cancel(id, running)

    def submit(
        self, task: Task[Any, Any], calls: Sequence[Arguments], submission: Submission
    ) -> list[StoredJob]:
        """Accept a job for each call; `Task.submit` and `Task.map` are how it is called."""
        now = time.time()
        due = now if submission.due is None else submission.due
        dumps, context = ordered_dumps(self.json), self._context()
        new = [
            NewJob(
                id=self._ids.new(now),
                task=task.name,
                arguments=pack_arguments(args, kwargs, dumps),
                context=context,
                created=now,
                due=due,
                idempotent=task.options.policy.idempotent,
                max_queue=task.options.max_queue,
                callback=submission.callback,
            )
            for args, kwargs in calls
        ]
        return self.runtime.accept(new, task)

    def links(self, id: str) -> Mapping[str, str]:
        """Return where a client finds out about a job: ``self`` and ``events``.

        Raises:
            TaskSetupError: If the app has no page for it.
        """
        if self._links is None:
            raise TaskSetupError(
                "There is no URL for jobs. Register the blueprint first:"
                " app.register_blueprint(tasks_blueprint(tasks, access=may_see))."
            )
        return self._links(id)

    def set_links(self, links: Callable[[str], Mapping[str, str]]) -> None:
        """Have a function say where a client finds out about a job. A blueprint calls this."""
        self._links = links

    # The process's part.

    @property
    def runtime(self) -> TasksRuntime:
        """What this process does for the tasks; begun if it has not."""
        runtime = self._runtime
        if runtime is not None and self.is_running:
            return runtime
        with self._lock:
            runtime = self._runtime
            if runtime is None or not runtime.is_of_this_process or runtime.has_ended:
                _ledger_users.register(self)
                runtime = self._runtime = TasksRuntime(self)
                runtime.start()
            return runtime

    @property
    def is_running(self) -> bool:
        """Whether this process has a part in the jobs, now."""
        runtime = self._runtime
        return runtime is not None and runtime.is_of_this_process and not runtime.has_ended

    @property
    def ledger_location(self) -> str:
        """Where the ledger is: the path of a file, or a URL."""
        return locate_ledger(self.settings(), self.app)

    @property
    def ledger(self) -> Ledger:
        """The ledger of this process, which begins its part if it has not."""
        return self.runtime.ledger

    def open_ledger(self) -> Ledger:
        """Return the ledger without beginning to run jobs, for a look or a chore; close it.

        Raises:
            TaskSetupError: If there can be none.
            MissingExtra: If its libraries are not installed.
        """
        return open_configured_ledger(self.settings(), self.app)

    def start(self) -> None:
        """Begin to run jobs in this process: also those that others left behind.

        Serving the app does this, and so does the first job.
        """
        _ = self.runtime

    def stop(self, timeout: float | None = None) -> bool:
        """End this process's part: give back what has not begun, and wait for what runs.

        Args:
            timeout: In seconds; ``TASKS_SHUTDOWN_TIMEOUT`` by default.

        Returns:
            Whether nothing is left running here.
        """
        self.is_served = False
        runtime = self._runtime
        if runtime is None or not runtime.is_of_this_process:
            return True
        return runtime.stop(timeout)

    def _serve(self) -> None:
        self.is_served = True
        self.start()

    def settings(self) -> TasksSettings:
        """Return the settings: those given here, and from the app's configuration the others.

        Raises:
            TaskSetupError: For one that there is not, or that cannot be.
        """
        return TasksSettings.of(self._given, {} if self.app is None else self.app.config)

    @property
    def json(self) -> Any:
        """What arguments and results are written with: the app's provider, or `json`."""
        return json if self.app is None else self.app.json

    def ensure_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""
        return function if self.app is None else self.app.ensure_sync(function)

    def address_of(self, task: Task[Any, Any]) -> TaskAddress:
        """Return where another process finds a task."""
        path = None if self.app is None else self.app_path()
        return TaskAddress(task.name, path, task.function.__module__, task.function.__qualname__)

    def app_path(self) -> str:
        """Return where another process finds the app, as ``module:app``.

        Raises:
            TaskSetupError: If nobody says and it is not to be found.
        """
        given = self.settings().app
        if given is None and self.app is not None:
            return app_path(self.app)
        return given or ""

    def _context(self) -> str | None:
        """Return the plain form of the current context, if it is one of the app's."""
        context = maybe_current()
        if self.app is None or context is None or context.app is not self.app:
            return None
        return json.dumps(context.snapshot().portable())


def _busy(error: QueueFull) -> tuple[dict[str, str], int, dict[str, str]]:
    """Answer a client whose job was not accepted (RFC 9110, 15.6.4)."""
    return {"error": f"{error.what} has too many jobs waiting."}, 503, {"Retry-After": "5"}
