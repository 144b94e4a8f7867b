"""`Runtimes`: refuses a second app in this process that would run the jobs of the first.

A ledger knows a task by its name alone, so that any process of an app can run it. Two apps in one
process with the same ledger would take each other's jobs if they had a task of the same name.
"""

import threading
from typing import Any
from weakref import WeakSet

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.runtime.runtime import NewScheduled, TasksRuntime


class Runtimes:
    """The runtimes of this process, for as long as somebody uses them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakSet[TasksRuntime] = WeakSet()

    def __repr__(self) -> str:
        return f"<Runtimes {list(self._known)!r}>"

    def begin(self, directory: TaskDirectory, new_scheduled: NewScheduled) -> TasksRuntime:
        """Return a new runtime that has begun, and check others against it from now on.

        Raises:
            TaskSetupError: If another runtime would run its jobs.
        """
        self.check(directory)
        runtime = TasksRuntime(directory, new_scheduled)
        runtime.start()
        with self._lock:
            self._known.add(runtime)
        return runtime

    def check(self, new: TaskDirectory) -> None:
        """Check tasks before their runtime is made.

        Raises:
            TaskSetupError: If another runtime would run their jobs.
        """
        with self._lock:
            others = [runtime.directory for runtime in self._known if runtime.is_running]
        for other in others:
            if other is not new and _ledger_of(other) == _ledger_of(new):
                _check(new, other)


def _ledger_of(directory: TaskDirectory) -> tuple[str, str | None]:
    return directory.ledger_location(), directory.settings().schema


def _check(new: TaskDirectory, other: TaskDirectory) -> None:
    if new.app is None or other.app is None:
        return
    shared = [name for name in new.tasks if name in other.tasks]
    # An app that a test makes again is the same one for the ledger. Two served apps are two.
    if new.app.name == other.app.name and not (new.is_served and other.is_served):
        shared = [name for name in shared if not _is_same_task(new.find(name), other.find(name))]
    if shared:
        raise TaskSetupError(
            f"The apps {new.app.name!r} and {other.app.name!r} both have a task {shared[0]!r}, and"
            " one ledger, so each would run the other's jobs. Give one app its own ledger,"
            " app.config['TASKS_LEDGER'] = 'instance/other.sqlite3', or in PostgreSQL its own"
            " schema, app.config['TASKS_SCHEMA'] = 'other', or name the task differently:"
            f" @tasks.task({f'other {shared[0]}'!r})."
        )


def _is_same_task(task: Any, other: Any) -> bool:
    """Return whether two tasks have the same function, which may have been defined twice."""
    code = getattr(task.function, "__code__", task.function)
    return code is getattr(other.function, "__code__", other.function)
