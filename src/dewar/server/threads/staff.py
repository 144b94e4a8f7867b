"""Threads that have nothing to do, and requests that have no thread."""

import logging
import threading
from collections import deque

from dewar.server.connection.connection import Connection
from dewar.server.threads.worker import Worker

_logger = logging.getLogger("dewar.server")


class Staff:
    """Brings waiting requests and free threads together.

    Both change under one lock, so that no request waits while a thread is parked.

    Args:
        workers: The threads that run requests; the first one is called first.
        doorkeeper: The thread that leads where all of these are inside the application.
        limit: How many requests may wait.

    Attributes:
        returns: How often a thread has come back from the application or from leading.
    """

    def __init__(self, workers: list[Worker], doorkeeper: Worker, limit: int) -> None:
        self._lock = threading.Lock()
        self._parked = workers[::-1]
        self._doorkeeper = doorkeeper
        self._is_door_kept = False
        self._waiting: deque[Connection] = deque()
        self._limit = limit
        self.returns = 0

    def __repr__(self) -> str:
        return f"<Staff {len(self._parked)} parked, {len(self._waiting)} requests waiting>"

    def maybe_leader(self) -> Worker | None:
        """Take the thread that is to lead next, so that it waits for this caller's call alone.

        That is a parked one, else the doorkeeper; None where the system has no thread to give.
        """
        worker = self.maybe_worker()
        if worker is not None:
            return worker
        with self._lock:
            if self._is_door_kept or not _ensure_started(self._doorkeeper):
                return None
            self._is_door_kept = True
            return self._doorkeeper

    def maybe_worker(self) -> Worker | None:
        """Take a parked thread; None where there is none."""
        with self._lock:
            return self._pop()

    def put_back(self, worker: Worker) -> None:
        """Take *worker* in again: it has nothing to do, or was not called after all."""
        with self._lock:
            if worker is self._doorkeeper:
                self._is_door_kept = False
                return
            if not self._waiting:
                self._parked.append(worker)
                return
            connection = self._waiting.popleft()  # it has come meanwhile
        worker.wake(connection)

    def withdraw(self, worker: Worker) -> bool:
        """Take *worker*, whose thread ends, off those that are parked; False if it is called."""
        with self._lock:
            if worker not in self._parked:
                return False
            self._parked.remove(worker)
            return True

    def is_stuck(self) -> bool:
        """Return whether the doorkeeper leads because no thread is free to."""
        return self._is_door_kept and not self._parked

    # Requests.

    def is_full(self) -> bool:
        """Return whether as many requests wait as may."""
        return len(self._waiting) >= self._limit

    def has_waiting(self) -> bool:
        """Return whether requests wait."""
        return bool(self._waiting)

    def submit(self, connection: Connection) -> bool:
        """Have a thread run *connection*: a parked one, or the next one to come back.

        Returns:
            Whether it is a parked one.
        """
        with self._lock:
            worker = self._pop()
            if worker is None:
                self._waiting.append(connection)
                return False
        worker.wake(connection)
        return True

    def next_or_park(self, worker: Worker) -> Connection | None:
        """Return the request that has waited longest for *worker*; None where it is parked now."""
        with self._lock:
            self.returns += 1
            if self._waiting:
                return self._waiting.popleft()
            self._parked.append(worker)
            return None

    def give_up(self) -> list[Connection]:
        """Return the requests that no thread will run any more."""
        with self._lock:
            left = list(self._waiting)
            self._waiting.clear()
            return left

    def dismiss(self) -> list[Worker]:
        """Return the started threads that are parked, for the last call; none is parked then."""
        with self._lock:
            left, self._parked = self._parked, []
            if not self._is_door_kept:
                left.append(self._doorkeeper)
                self._is_door_kept = True
        return [worker for worker in left if worker.is_started]

    def counts(self) -> tuple[int, int]:
        """Return how many started threads are parked, and how many requests wait."""
        with self._lock:
            return sum(worker.is_started for worker in self._parked), len(self._waiting)

    def _pop(self) -> Worker | None:
        if not self._parked or not _ensure_started(self._parked[-1]):
            return None
        return self._parked.pop()


def _ensure_started(worker: Worker) -> bool:
    """Start *worker* if need be; return whether it can be called."""
    if not worker.is_started:
        try:
            worker.start()
        except RuntimeError as error:
            _logger.warning("%r does not start: %s", worker, error)
            return False
    return True
