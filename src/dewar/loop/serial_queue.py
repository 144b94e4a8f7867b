"""`SerialQueue`: a thread that calls functions one after the other."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

_logger = logging.getLogger("dewar.tasks")


class SerialQueue:
    """Calls functions one after the other, on a thread of its own.

    The thread starts with the first call. It is a daemon: what it would still do when the
    process ends, nobody is there to see.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<SerialQueue {self._name}, {self._calls.qsize()} to do>"

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function without arguments, after those before it."""
        self._calls.put(function)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Do what is left and end; waits for that, unless it is the thread itself that asks."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._calls.put(None)
        if thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                function()
            except BaseException:
                # Whatever one of them raises, those after it are called too.
                _logger.exception("Looking after a job failed.")
            del function  # or it would keep a job and its result until the next one
