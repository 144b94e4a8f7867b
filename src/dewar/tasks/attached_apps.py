"""`AttachedApps`: the apps that one `Tasks` object is attached to, and which of them is meant."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from dewar.contexts.current import contexts
from dewar.tasks.app_tasks import PART, AppTasks, MakeRuntime
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.interface import TasksApp, lifespan_of
from dewar.tasks.runtime.shared_ledger import Runtimes
from dewar.tasks.serialization.task_address import EXTENSION

_runtimes = Runtimes()


class AttachedApps:
    """What each app has of the same tasks.

    Args:
        given: The settings that go before those of an app.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._make: MakeRuntime = _runtimes.begin
        self._latest = AppTasks(TaskDirectory(given), self._make)
        # Those of all apps that somebody uses.
        self._all: WeakSet[AppTasks] = WeakSet([self._latest])
        self._has_many = False

    def __repr__(self) -> str:
        return f"<AttachedApps {list(self._all)}>"

    @property
    def here(self) -> AppTasks:
        """The part of the current app if it has one, else of the app that was attached last."""
        # PERF: as `maybe_current`, without a call. Most processes have one app.
        if self._has_many and (state := contexts.reader(None)) and state[0]:
            part: AppTasks | None = state[0].app.extensions.get(PART)
            if part is not None and part.directory.tasks is self._latest.directory.tasks:
                return part
        return self._latest

    def attach(self, app: TasksApp, tasks: object) -> None:
        """Attach an app, which has the tasks among its extensions; see `Tasks.init_app`."""
        if EXTENSION in app.extensions:
            raise TaskSetupError(
                f"{tasks!r} cannot be attached to {app.name!r}, which has"
                f" {app.extensions[EXTENSION]!r}: an app has one Tasks. Declare all its tasks with"
                " the same object, and attach it once."
            )
        lifespan_of(app)  # before anything is changed
        latest = self._latest
        if latest.directory.app is None:
            latest.directory.app = app
        else:
            directory = TaskDirectory(self._given, latest.directory.tasks)
            latest = self._latest = AppTasks(directory, self._make)
            latest.directory.app = app
            self._all.add(latest)
            self._has_many = True
        app.extensions[EXTENSION] = tasks
        latest.attach(app)

    @contextmanager
    def using(self, make: MakeRuntime) -> Iterator[None]:
        """Use new runtimes during a ``with`` block, also for apps that are attached in it.

        Args:
            make: Makes a runtime and begins it. Those that there were go on, and are used after it.
        """
        outer, self._make = self._make, make
        kept = {part: part.use(make) for part in self._all}
        try:
            yield
        finally:
            self._make = outer
            for part in list(self._all):
                inner = part.use(outer, kept.get(part))
                if inner is not None:
                    inner.stop()

    def stop(self, timeout: float | None) -> bool:
        """Stop running jobs of all apps; see `Tasks.stop`."""
        given: Any = timeout  # what a program gives may be of any type
        if given is not None and not isinstance(given, int | float):
            raise TaskSetupError(
                f"stop(timeout={timeout!r}) should be a number of seconds: it stops all jobs in the"
                " process. To stop one of them: tasks.cancel(id, running=True)."
            )
        ended = {part.stop(timeout) for part in list(self._all)}
        return False not in ended
