"""`CallQueue`: a few threads for what the event loop must not do."""

import logging
import threading
from collections.abc import Callable
from contextvars import Context
from functools import partial
from queue import SimpleQueue

_logger = logging.getLogger("dewar.server")


class CallQueue:
    """Threads that call functions, in the order in which they are given.

    They are started as they are needed, and are daemons: whoever gives them something waits for
    it, if it must be done.

    Args:
        name: What the threads' names begin with.
        most: How many there may be.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._changing = threading.Lock()
        self._waiting: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._started = 0
        self._idle = 0

    def __repr__(self) -> str:
        threads = f"{self._started} of {self._most} threads, {self._idle} idle"
        return f"<CallQueue {self._name!r}, {threads}>"

    def submit(self, function: Callable[[], object]) -> None:
        """Have a thread call *function*, which does not raise.

        The caller does where there is none and none can be started, as at the interpreter's exit.
        """
        with self._changing:
            starts = self._idle <= self._waiting.qsize() and self._started < self._most
            if starts:
                starts = self._start_thread()
            is_taken = starts or self._started > 0
            if is_taken:
                self._waiting.put(function)
        if not is_taken:
            function()

    def _start_thread(self) -> bool:
        """Start one more; return whether the system had one to give."""
        name = f"{self._name}-{self._started + 1}"
        work = partial(Context().run, self._work)
        try:
            threading.Thread(target=work, name=name, daemon=True).start()
        except RuntimeError as error:
            _logger.debug("%s does not start: %s", name, error)
            return False
        self._started += 1
        return True

    def _work(self) -> None:
        while True:
            with self._changing:
                self._idle += 1
            function = self._waiting.get()
            with self._changing:
                self._idle -= 1
            function()
            del function  # it is not kept while the thread is idle
