"""One thread of the pool, and how it is called."""

import threading
from collections.abc import Callable
from contextvars import Context

from dewar.server.connection.connection import Connection


class WorkerThread:
    """A thread that leads or runs a request when it is told to, and parks in between.

    Its lock is the signal, and it is used the other way round: held while there is nothing to
    do, and released, by another thread, when there is. A lock is the cheapest thing to wake a
    thread with, and there is never more than one call outstanding: whoever wakes a worker has
    taken it out of the work queue first. The job is written before the lock is released and read
    after it was acquired.

    Args:
        name: The thread's name.
        main: What the thread does; it gets this worker.
    """

    def __init__(self, name: str, main: Callable[["WorkerThread"], None]) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        # An empty context: from Python 3.14 on a thread may begin with a copy of its starter's.
        self._thread = threading.Thread(
            target=lambda: Context().run(main, self), name=name, daemon=True
        )
        self._connection: Connection | None = None
        self.is_started = False

    def __repr__(self) -> str:
        return f"<WorkerThread {self._thread.name} {'started' if self.is_started else 'new'}>"

    def start(self) -> None:
        """Start the thread; what it does first is to park.

        Raises:
            RuntimeError: The system has no thread to give. It may have one later.
        """
        self._thread.start()
        self.is_started = True

    def wake(self, connection: Connection | None = None) -> None:
        """Have the thread run *connection*, or lead where there is none."""
        self._connection = connection
        self._lock.release()

    def park(self) -> Connection | None:
        """Wait for `wake` and return its job. Only the worker's own thread calls it."""
        self._lock.acquire()
        connection, self._connection = self._connection, None
        return connection

    def join(self, timeout: float) -> bool:
        """Wait for the thread's end; tell whether it came within *timeout* seconds."""
        if self.is_started and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()
