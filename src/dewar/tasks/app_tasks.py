"""`AppTasks`: what one app has of `Tasks` in this process: its settings, and a runtime.

`Tasks` that are made once, on a module, may belong to many apps: a test suite makes one for each
test. Each app has its own configuration, ledger and runtime; the declared tasks are the same.
"""

import os
import threading

from dewar.tasks.errors import MissingExtra

try:  # `Tasks` imports this module first, and what is below it needs the library everywhere
    import sqlalchemy  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtra("The ledger of tasks", "tasks") from error

from dewar.tasks.directory import TaskDirectory
from dewar.tasks.runtime.runtime import TasksRuntime
from dewar.tasks.runtime.shared_ledger import Runtimes


class AppTasks:
    """The tasks of one app, or of no app. Any thread may call any method.

    Args:
        directory: The tasks, their app and their settings.
        runtimes: Those of this process, to which this one is added.
    """

    def __init__(self, directory: TaskDirectory, runtimes: Runtimes) -> None:
        self.directory = directory
        self._runtimes = runtimes
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
        with self._lock:
            runtime = self._runtime
            if runtime is None or not runtime.is_running:
                self._runtimes.check(self.directory)
                runtime = TasksRuntime(self.directory)
                runtime.start()
                self._runtimes.add(runtime)
                # Not before: a start that fails is tried again by the next submission.
                self._runtime = runtime
            return runtime

    def serve(self) -> None:
        """Begin to run jobs, because the app is served."""
        self.directory.is_served = True
        _ = self.runtime

    def stop(self, timeout: float | None = None) -> bool:
        """Stop running jobs of the app; see `Tasks.stop`."""
        self.directory.is_served = False
        return self._runtime is None or self._runtime.stop(timeout)
