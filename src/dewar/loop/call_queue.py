"""`CallQueue`: threads that call functions in the order in which they are given."""

import logging
import threading
import time
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue
from typing import Any, TypeAlias

_logger = logging.getLogger("dewar.loop")

#: Functions with their arguments. None ends the thread that takes it.
_Calls: TypeAlias = SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None]


class CallQueue:
    """Calls functions on threads that start on demand, each in an empty context.

    The threads are daemons: a caller that needs the result waits for it itself. Any thread may
    call any method.

    Args:
        name: The name of the thread. If there can be several, each has its number after it.
        max_threads: How many threads there may be.
    """

    def __init__(self, name: str, max_threads: int = 1) -> None:
        self._name = name
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._calls: _Calls = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0

    def __repr__(self) -> str:
        threads = f"{len(self._threads)} of {self._max_threads} threads"
        return f"<CallQueue {self._name!r}, {threads}, {self._unfinished} calls to finish>"

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function after those before it. An error that it raises is logged.

        If there is no thread and none can be started, as at the interpreter's exit, it is called
        here and now.
        """
        with self._lock:
            self._unfinished += 1
            if len(self._threads) < min(self._unfinished, self._max_threads):
                self._start_thread()
            is_queued = bool(self._threads)
            if is_queued:
                self._calls.put((function, args))
        if not is_queued:
            self._call(function, args)

    def close(self, timeout: float | None = None) -> None:
        """Make the calls that are left, and end the threads; a later call starts a new one.

        Args:
            timeout: How long to wait for that, in seconds; None for as long as it takes. A thread
                of the queue does not wait for itself.
        """
        with self._lock:
            threads, self._threads = self._threads, []
            calls, self._calls = self._calls, SimpleQueue()
        for _ in threads:
            calls.put(None)
        until = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(None if until is None else max(0.0, until - time.monotonic()))

    def _start_thread(self) -> None:
        """Start one more thread, unless the system has none to give."""
        number = len(self._threads) + 1
        name = self._name if self._max_threads == 1 else f"{self._name}-{number}"
        # The context is empty: some builds of Python let a thread inherit its starter's.
        thread = threading.Thread(
            target=Context().run, args=(self._work, self._calls), name=name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            _logger.debug("%s does not start: %s", name, error)
        else:
            self._threads.append(thread)

    def _work(self, calls: _Calls) -> None:
        while (call := calls.get()) is not None:
            self._call(*call)
            del call  # an idle thread keeps no arguments

    def _call(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except BaseException:
            # Nothing that one function raises may keep the next from being called.
            _logger.exception("%s: the call of %r with %r failed.", self._name, function, args)
        finally:
            with self._lock:
                self._unfinished -= 1
