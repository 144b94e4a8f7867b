"""`AppTasks`: what one app has of `Tasks` in this process: its settings, and a runtime.

`Tasks` that are made once, on a module, may belong to many apps: a test suite makes one for each
test. Each app has its own configuration, ledger and runtime; the declared tasks are the same.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

from dewar.tasks.errors import MissingExtra

try:  # `Tasks` imports this module first, and what is below it needs the library everywhere
    import sqlalchemy  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtra("The ledger of tasks", "tasks") from error

import dewar.tasks.ledger.inherited_connections  # noqa: F401  # for the program's own pools
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.error_answers import register_answers
from dewar.tasks.interface import TasksApp, lifespan_of
from dewar.tasks.ledger.app_transactions import connection_of
from dewar.tasks.ledger.opening import maybe_path
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.ledger.sqlite_joining import holds_lock, reaches_file
from dewar.tasks.progress import shielded
from dewar.tasks.runtime.runtime import NewScheduled, TasksRuntime
from dewar.tasks.runtime.shared_ledger import Runtimes
from dewar.tasks.runtime.transaction_jobs import accept_early
from dewar.tasks.scheduled_job import scheduled_job
from dewar.tasks.serialization.task_address import EXTENSION
from dewar.tasks.stored_job import StoredJob

#: Where an app has its `AppTasks`, among its extensions.
PART = f"{EXTENSION}.app"


MakeRuntime = Callable[[TaskDirectory, NewScheduled], TasksRuntime]


class AppTasks:
    """The tasks of one app, or of no app. Any thread may call any method.

    Args:
        directory: The tasks, their app and their settings.
        make: Makes a runtime and begins it.
    """

    def __init__(self, directory: TaskDirectory, make: MakeRuntime) -> None:
        self.directory = directory
        self._make = make
        self._lock = threading.Lock()
        self._runtime: TasksRuntime | None = None

    def __repr__(self) -> str:
        return f"<AppTasks of {self.directory!r}: {self._runtime!r}>"

    @property
    def runtime(self) -> TasksRuntime:
        """This process's part in the jobs; it begins if it has not yet."""
        # PERF: as `TasksRuntime.is_running`, which costs a call for each submit.
        runtime = self._runtime
        if runtime is not None and not runtime.has_ended and runtime.pid == os.getpid():
            return runtime
        return self._begun()

    @shielded
    def _begun(self) -> TasksRuntime:
        with self._lock:
            runtime = self._runtime
            if runtime is None or not runtime.is_running:
                # Not before: a start that fails is tried again by the next submission.
                self._runtime = runtime = self._make(self.directory, scheduled_job)
            return runtime

    def accept_in(self, given: Any, new: NewJob, task: Any) -> StoredJob:
        """Accept a job in a transaction of the program; see `Task.submit`."""
        connection, runtime = connection_of(given), self._runtime
        has_begun = runtime is not None and runtime.is_running
        # A runtime for tests begins without a write.
        begins_with_write = isinstance(getattr(self._make, "__self__", None), Runtimes)
        if not has_begun and begins_with_write and holds_lock(connection):
            path = maybe_path(self.directory.ledger_location())
            if path is not None and reaches_file(connection, path):
                return accept_early(
                    connection, path, new, task, self.directory, lambda: self.runtime
                )
        return self.runtime.transaction_jobs.accept(connection, new, task)

    def use(self, make: MakeRuntime, runtime: TasksRuntime | None = None) -> TasksRuntime | None:
        """Use another runtime from now on; return the one there was, which goes on.

        Args:
            make: As for the class.
            runtime: The runtime, if there is one already.
        """
        with self._lock:
            before, self._runtime, self._make = self._runtime, runtime, make
            return before

    def attach(self, app: TasksApp) -> None:
        """Have an app serve with these tasks, and answer their errors."""
        app.extensions[PART] = self
        register_answers(app)  # first: it says if it is too late
        lifespan = lifespan_of(app)
        lifespan.begin_functions.append(self.serve)
        lifespan.end_functions.append(self.stop)

    def serve(self) -> None:
        """Begin to run jobs, because the app is served."""
        self.directory.is_served = True
        _ = self.runtime

    def stop(self, timeout: float | None = None) -> bool:
        """Stop running jobs of the app; see `Tasks.stop`."""
        self.directory.is_served = False
        return self._runtime is None or self._runtime.stop(timeout)
