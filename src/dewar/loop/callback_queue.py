"""`CallbackQueue`: the thread that calls what was added to jobs with `add_done_callback`.

The writer's thread resolves jobs and must not run foreign code: a callback that submits a job would
wait for the very thread it runs on.
"""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_logger = logging.getLogger("dewar.tasks")


class CallbackQueue:
    """Calls functions one after the other, on a thread that the first one starts."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Callable[[Any], object], Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<CallbackQueue, {self._queue.qsize()} to call>"

    def call_soon(self, function: Callable[[Any], object], argument: Any) -> None:
        """Have a function called; what it raises is logged."""
        self._queue.put((function, argument))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="dewar-tasks-callbacks", daemon=True
                )
                self._thread.start()

    def stop(self, timeout: float) -> None:
        """Call what waits, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join(max(0.0, timeout))

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            function, argument = entry
            try:
                function(argument)
            except Exception:
                _logger.exception("The callback %r of %r failed", function, argument)
