"""`CallQueue`: threads that call functions in the order in which they are given."""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias

from dewar.support.background_thread import BackgroundThread

_logger = logging.getLogger("dewar.loop")

#: Functions with their arguments. None ends the thread that takes it.
_Calls: TypeAlias = SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None]


class _Worker:
    """A thread, and the number of calls that it has made. Only the thread writes that number."""

    __slots__ = ("finished", "thread")

    def __init__(
        self, name: str, work: Callable[["_Worker", _Calls], object], calls: _Calls
    ) -> None:
        self.finished = 0
        self.thread = BackgroundThread(name, work, self, calls)


class CallQueue:
    """Calls functions on threads that start on demand, each in an empty context.

    No exit waits for the threads: a caller that needs the result waits for it itself. Any thread
    may call any method.

    Args:
        name: The name of the thread. If there can be several, each has its number after it.
        max_threads: How many threads there may be.
    """

    def __init__(self, name: str, max_threads: int = 1) -> None:
        self._name = name
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._calls: _Calls = SimpleQueue()
        self._workers: list[_Worker] = []
        #: How many calls the workers have got. Not a count of the unfinished calls, for which each
        #: worker would need the lock after each call.
        self._given = 0

    def __repr__(self) -> str:
        threads = f"{len(self._workers)} of {self._max_threads} threads"
        return f"<CallQueue {self._name!r}, {threads}, {self._unfinished()} calls to finish>"

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function after those before it. An error that it raises is logged.

        If there is no thread and none can be started, as at the interpreter's exit, it is called
        here and now.
        """
        with self._lock:
            count = len(self._workers)
            if count < self._max_threads and count <= self._unfinished():
                self._start_thread()
            if self._workers:
                self._given += 1
                self._calls.put((function, args))
                return
        self._call(function, args)

    def close(self, timeout: float | None = None) -> None:
        """Make the calls that are left, and end the threads; a later call starts a new one.

        Args:
            timeout: How long to wait for that, in seconds; None for as long as it takes. A thread
                of the queue does not wait for itself.
        """
        with self._lock:
            workers, self._workers = self._workers, []
            calls, self._calls = self._calls, SimpleQueue()
            self._given = 0
        for _ in workers:
            calls.put(None)
        until = None if timeout is None else time.monotonic() + timeout
        for worker in workers:
            if worker.thread is not threading.current_thread():
                worker.thread.join(None if until is None else max(0.0, until - time.monotonic()))

    def _unfinished(self) -> int:
        return self._given - sum(worker.finished for worker in self._workers)

    def _start_thread(self) -> None:
        """Start one more thread, unless the system has none to give."""
        number = len(self._workers) + 1
        name = self._name if self._max_threads == 1 else f"{self._name}-{number}"
        worker = _Worker(name, self._work, self._calls)
        try:
            worker.thread.start()
        except RuntimeError as error:
            _logger.debug("%s does not start: %s", name, error)
        else:
            self._workers.append(worker)

    def _work(self, worker: _Worker, calls: _Calls) -> None:
        while (call := calls.get()) is not None:
            self._call(*call)
            del call  # an idle thread keeps no arguments
            worker.finished += 1

    def _call(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException:
            # Nothing that one function raises may keep the next from being called.
            _logger.exception("%s: the call of %r with %r failed.", self._name, function, args)
