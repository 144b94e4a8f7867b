"""Threads that have nothing to do, and requests that have no thread."""

import logging
import threading
from collections import deque

from dewar.server.connection.connection import Connection
from dewar.server.threads.worker import WorkerThread

_logger = logging.getLogger("dewar.server")


class WorkQueue:
    """Brings waiting requests and free threads together.

    Both change under one lock, so that no request waits while a thread is idle.

    Args:
        workers: The threads that run requests; the first one is called first.
        overflow_thread: The thread that leads where all of these are inside the application.
        limit: How many requests may wait.

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
        self._limit = limit
        self.return_count = 0

    def __repr__(self) -> str:
        return f"<WorkQueue {len(self._idle)} idle, {len(self._waiting)} requests waiting>"

    def maybe_leader(self) -> WorkerThread | None:
        """Take the thread that is to lead next, so that it waits for this caller's call alone.

        That is an idle one, else the overflow leader; None where the system has no thread to give.
        """
        worker = self.maybe_worker()
        if worker is not None:
            return worker
        with self._lock:
            if self._overflow_thread_leads or not _ensure_started(self._overflow_thread):
                return None
            self._overflow_thread_leads = True
            return self._overflow_thread

    def maybe_worker(self) -> WorkerThread | None:
        """Take an idle thread; None where there is none."""
        with self._lock:
            return self._pop()

    def put_back(self, worker: WorkerThread) -> None:
        """Take *worker* in again: it has nothing to do, or was not called after all."""
        with self._lock:
            if worker is self._overflow_thread:
                self._overflow_thread_leads = False
                return
            if not self._waiting:
                self._idle.append(worker)
                return
            connection = self._waiting.popleft()  # it has come meanwhile
        worker.wake(connection)

    def withdraw(self, worker: WorkerThread) -> bool:
        """Take *worker*, whose thread ends, off those that are idle; False if it is called."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            return True

    def is_exhausted(self) -> bool:
        """Return whether the overflow leader leads because no thread is free to."""
        return self._overflow_thread_leads and not self._idle

    # Requests.

    def is_full(self) -> bool:
        """Return whether as many requests wait as may."""
        return len(self._waiting) >= self._limit

    def has_waiting(self) -> bool:
        """Return whether requests wait."""
        return bool(self._waiting)

    def submit(self, connection: Connection) -> bool:
        """Have a thread run *connection*: an idle one, or the next one to come back.

        Returns:
            Whether it is an idle one.
        """
        with self._lock:
            worker = self._pop()
            if worker is None:
                self._waiting.append(connection)
                return False
        worker.wake(connection)
        return True

    def next_or_idle(self, worker: WorkerThread) -> Connection | None:
        """Return the request that has waited longest for *worker*; None where it is idle now."""
        with self._lock:
            self.return_count += 1
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(worker)
            return None

    def take_waiting(self) -> list[Connection]:
        """Return the requests that no thread will run any more."""
        with self._lock:
            left = list(self._waiting)
            self._waiting.clear()
            return left

    def take_idle_started(self) -> list[WorkerThread]:
        """Return the started threads that are idle, for the last call; none is idle then."""
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

    def _pop(self) -> WorkerThread | None:
        if not self._idle or not _ensure_started(self._idle[-1]):
            return None
        return self._idle.pop()


def _ensure_started(worker: WorkerThread) -> bool:
    """Start *worker* if need be; return whether it can be called."""
    if not worker.is_started:
        try:
            worker.start()
        except RuntimeError as error:
            _logger.warning("%r does not start: %s", worker, error)
            return False
    return True
