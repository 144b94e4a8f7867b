"""`TaskDirectory`: the tasks of one `Tasks` object, and what its parts need to know of the app."""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dewar.contexts.current import maybe_current
from dewar.support.redaction import IsSecret, secret_names
from dewar.tasks.errors import TaskSetupError, UnknownTask
from dewar.tasks.interface import TasksApp
from dewar.tasks.ledger.notifying_ledger import NotifyingLedger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.limits import TaskLimits
from dewar.tasks.schedules.task_schedule import TaskSchedule
from dewar.tasks.serialization.task_address import TaskAddress, app_path
from dewar.tasks.settings import TasksSettings

# The app's name comes before it, because several apps may have one folder.
_FILE = "tasks.sqlite3"

#: Where an app has the function that returns the URLs of a job, among its extensions.
LINKS = "dewar.tasks.links"

Links = Callable[[str], Mapping[str, str]]


class TaskDirectory:
    """What was declared: tasks by name, their app, their settings, and the URLs of their jobs.

    Args:
        given: The settings that go before the app's configuration.
        tasks: The tasks by name, if several apps have the same; they are declared later too.

    Attributes:
        tasks: The tasks by name.
        app: The app, or None.
        declared_in: Returns the `Tasks`, the sender of signals if there is no app.
        is_served: Whether this process serves the app now.
        clock: Returns the time in seconds since the epoch; in a test it can be moved.
        monotonic: The same of a clock that nobody sets.
    """

    def __init__(self, given: Mapping[str, Any], tasks: dict[str, Any] | None = None) -> None:
        TasksSettings.of(given, {})
        self._given = given
        self.tasks: dict[str, Any] = {} if tasks is None else tasks
        self.app: TasksApp | None = None
        self.declared_in: Callable[[], object] = lambda: None
        self.is_served = False
        self.clock: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic

    def __repr__(self) -> str:
        return f"<TaskDirectory of {len(self.tasks)} tasks>"

    @property
    def json(self) -> Any:
        """What writes and reads arguments and results: the app's provider, or `json`."""
        return json if self.app is None else self.app.json

    def settings(self) -> TasksSettings:
        """Return the settings; see `Tasks.settings`."""
        return TasksSettings.of(self._given, {} if self.app is None else self.app.config)

    def secret_names(self) -> IsSecret:
        """Return a function that says whether a name is that of a field with credentials."""
        # PERF: not from `settings`, which checks all of them, because this is for each job.
        config = {} if self.app is None else self.app.config
        return secret_names(self._given.get("credentials", config.get("TASKS_CREDENTIALS")))

    def ledger_location(self) -> str:
        """Return where the ledger is: an absolute path, or a URL."""
        where, app = self.settings().ledger, self.app
        if where is None:
            folder = Path("instance") if app is None else Path(app.instance_path)
            where = folder / (_FILE if app is None else f"{quote(app.name, safe='')}.{_FILE}")
        text = os.fspath(where)
        return text if "://" in text else str(Path(text).absolute())

    def open_ledger(self) -> NotifyingLedger:
        """Return the ledger; see `dewar.tasks.ledger.opening.open_ledger`."""
        settings = self.settings()
        return open_ledger(self.ledger_location(), durable=settings.durable, schema=settings.schema)

    def add(self, task: Any) -> None:
        """Add a task.

        Raises:
            TaskSetupError: If another one has its name.
        """
        if task.name in self.tasks:
            raise TaskSetupError(
                f"There is a task {task.name!r} already. Name this one:"
                " @tasks.task('another name')."
            )
        self.tasks[task.name] = task

    def find(self, name: str) -> Any:
        """Return a task; see `Tasks.find`."""
        task = self.tasks.get(name)
        if task is None:
            raise UnknownTask(f"There is no task {name!r} here, but {', '.join(self.tasks)}.")
        return task

    def limits(self) -> dict[str, TaskLimits]:
        """Return the limits of the tasks that have any."""
        # A copy: another thread may declare a task.
        tasks = self.tasks.copy()
        return {name: task.options.limits for name, task in tasks.items() if task.options.limits}

    def schedules(self) -> dict[str, TaskSchedule]:
        """Return the schedules of the tasks that have one."""
        tasks = self.tasks.copy()
        found = {name: task.options.schedule for name, task in tasks.items()}
        return {name: schedule for name, schedule in found.items() if schedule is not None}

    def links(self, id: str) -> Mapping[str, str]:
        """Return the URLs of a job: ``self``, ``events`` and ``cancel``.

        Raises:
            TaskSetupError: If the app has no page for jobs.
        """
        app, context = self.app, maybe_current()
        if app is None and context is not None:
            app = context.app
        links: Links | None = None if app is None else app.extensions.get(LINKS)
        if links is None:
            raise TaskSetupError(
                "There is no URL for jobs. Register the blueprint first:"
                " app.register_blueprint(tasks_blueprint(tasks, access=may_see))."
            )
        return links(id)

    def ensure_sync(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that can be called without ``await``."""
        return function if self.app is None else self.app.ensure_sync(function)

    def address_of(self, task: Any) -> TaskAddress:
        """Return where another process finds a task."""
        path = None if self.app is None else self.app_path()
        return TaskAddress(task.name, path, task.function.__module__, task.function.__qualname__)

    def app_path(self) -> str:
        """Return where another process finds the app, as ``module:app``.

        Raises:
            TaskSetupError: If no setting names it and no attribute of its module is the app.
        """
        given = self.settings().app
        if given is None and self.app is not None:
            return app_path(self.app)
        return given or ""
