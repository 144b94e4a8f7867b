"""The threads that run requests, and the queue of requests that wait for one."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from dewar.server.connection.connection import Connection
from dewar.support.background_thread import BackgroundThread
from dewar.support.bounded_log import BoundedLog

_logger = logging.getLogger("dewar.server")


class WorkerThread:
    """A thread that leads or runs a request when it is woken, and is idle in between.

    Its lock is the signal: held while the thread is idle, and released by another thread to wake
    it. A lock is the cheapest way to wake a thread. At most one wake-up is outstanding, because a
    thread is taken out of the work queue before it is woken. The job is written before the lock is
    released and read after it is acquired.

    Args:
        name: The thread's name.
        main: The thread's function; it gets this worker.

    Attributes:
        thread: The thread.
        is_started: Whether it runs.
    """

    def __init__(self, name: str, main: Callable[["WorkerThread"], None]) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.thread = BackgroundThread(name, lambda: main(self))
        # Of its own: every millisecond somebody may try.
        self._log = BoundedLog(_logger, time.monotonic)
        self._connection: Connection | None = None
        self.is_started = False

    def __repr__(self) -> str:
        return f"<WorkerThread {self.thread.name} {'started' if self.is_started else 'new'}>"

    def start(self) -> None:
        """Start the thread, which parks first.

        Raises:
            RuntimeError: The system cannot start a thread now.
        """
        self.thread.start()
        self.is_started = True

    def try_start(self) -> bool:
        """Start the thread unless it is started; return whether it can be woken."""
        if not self.is_started:
            try:
                self.start()
            except RuntimeError as error:
                self._log.warn("%r does not start, so requests wait for others: %s.", self, error)
                return False
        return True

    def wake(self, connection: Connection | None = None) -> None:
        """Have the thread run *connection*, or lead if there is none."""
        self._connection = connection
        self._lock.release()

    def park(self) -> Connection | None:
        """Wait for `wake` and return its connection. Only the worker's own thread calls it."""
        self._lock.acquire()
        connection, self._connection = self._connection, None
        return connection

    def join(self, timeout: float) -> bool:
        """Wait for the thread; return whether it has ended within *timeout* seconds."""
        if self.is_started and self.thread is not threading.current_thread():
            self.thread.join(timeout)
        return not self.thread.is_alive()


class WorkQueue:
    """The idle threads and the waiting requests of a pool.

    Both change under one lock, so that no request waits while a thread is idle.

    Args:
        workers: The threads that run requests; the first one is used first.
        overflow_thread: The thread that leads while all workers are inside the application.
        limit: How many requests may wait that the application has not begun. Those that it has
            begun keep no new one out: a thousand clients that leave at once may need threads for a
            moment.

    Attributes:
        return_count: How often a thread has come back from the application or from leading.
    """

    def __init__(
        self, workers: list[WorkerThread], overflow_thread: WorkerThread, limit: int
    ) -> None:
        self._lock = threading.Lock()
        self._idle = workers[::-1]
        self._overflow_thread = overflow_thread
        self._overflow_thread_leads = False
        self._waiting: deque[Connection] = deque()
        self._new = 0  # of those that wait; whether one has begun cannot change meanwhile
        self._limit = limit
        self.return_count = 0

    def __repr__(self) -> str:
        return f"<WorkQueue {len(self._idle)} idle, {len(self._waiting)} requests waiting>"

    def maybe_leader(self) -> WorkerThread | None:
        """Take the thread that leads next, for the caller to wake.

        It is an idle worker, else the overflow thread; None if no thread can be started.
        """
        worker = self.maybe_worker()
        if worker is not None:
            return worker
        with self._lock:
            if self._overflow_thread_leads or not self._overflow_thread.try_start():
                return None
            self._overflow_thread_leads = True
            return self._overflow_thread

    def maybe_worker(self) -> WorkerThread | None:
        """Take an idle worker; None if there is none."""
        with self._lock:
            return self._pop()

    def put_back(self, worker: WorkerThread) -> None:
        """Add *worker* again: it has nothing to do, or was not woken after all."""
        with self._lock:
            if worker is self._overflow_thread:
                self._overflow_thread_leads = False
                return
            connection = self._maybe_next()  # it was submitted meanwhile
            if connection is None:
                self._idle.append(worker)
                return
        worker.wake(connection)

    def withdraw(self, worker: WorkerThread) -> bool:
        """Remove *worker*, whose thread ends; return False if it is not idle any more."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            return True

    def is_exhausted(self) -> bool:
        """Return whether the overflow thread leads and no worker is idle."""
        return self._overflow_thread_leads and not self._idle

    # Requests.

    def is_full(self) -> bool:
        """Return whether no more new requests may wait."""
        return self._new >= self._limit

    def has_waiting(self) -> bool:
        """Return whether requests wait."""
        return bool(self._waiting)

    def submit(self, connection: Connection) -> bool:
        """Have an idle worker run *connection*, else the next one that comes back.

        Returns:
            Whether a worker was idle.
        """
        with self._lock:
            worker = self._pop()
            if worker is None:
                self._waiting.append(connection)
                self._new += not connection.has_begun()
                return False
        worker.wake(connection)
        return True

    def next_or_idle(self, worker: WorkerThread) -> Connection | None:
        """Return the request that has waited longest; if there is none, *worker* is idle now."""
        with self._lock:
            self.return_count += 1
            connection = self._maybe_next()
            if connection is None:
                self._idle.append(worker)
            return connection

    def take_waiting(self) -> list[Connection]:
        """Remove and return the requests that wait."""
        with self._lock:
            waiting, self._waiting, self._new = list(self._waiting), deque(), 0
            return waiting

    def take_idle_started(self) -> list[WorkerThread]:
        """Remove and return the idle threads that are started, to wake them at the end."""
        with self._lock:
            left, self._idle = self._idle, []
            if not self._overflow_thread_leads:
                left.append(self._overflow_thread)
                self._overflow_thread_leads = True
        return [worker for worker in left if worker.is_started]

    def counts(self) -> tuple[int, int]:
        """Return how many started threads are idle, and how many requests wait."""
        with self._lock:
            return sum(worker.is_started for worker in self._idle), len(self._waiting)

    def _maybe_next(self) -> Connection | None:
        if not self._waiting:
            return None
        connection = self._waiting.popleft()
        self._new -= not connection.has_begun()
        return connection

    def _pop(self) -> WorkerThread | None:
        if not self._idle or not self._idle[-1].try_start():
            return None
        return self._idle.pop()
