"""`SoftLimits`: interrupts the functions of a process whose soft limits are over.

Its thread starts with the first function that has a limit, and ends when there has been none for a
while. Any thread may call any method.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dewar.support.background_thread import BackgroundThread
from dewar.tasks.interruptible import Interruptible

# How long the thread waits for the next function with a limit, in seconds.
_IDLE = 1.0
# How long it waits at a time. Nobody wakes it when the last function has ended before its limit.
_LONGEST = 10.0


class SoftLimits:
    """Interrupts functions when their time is over.

    Args:
        clock: A monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        # When each is over. There are as many as functions run at a time, so no order is kept.
        self._ends: dict[Interruptible, float] = {}
        self._thread: BackgroundThread | None = None
        # When the thread looks again.
        self._next_look = 0.0

    @contextmanager
    def watching(self, function: Interruptible) -> Iterator[None]:
        """Interrupt a function when its limit is over, unless the block has ended before.

        Raises:
            RuntimeError: If the system starts no thread.
        """
        if function.soft_timeout is not None:
            self._add(function, self._clock() + function.soft_timeout)
        try:
            yield
        finally:
            with self._changed:
                self._ends.pop(function, None)

    def take_due(self) -> list[Interruptible]:
        """Remove the functions whose limits are over, and return them."""
        with self._changed:
            now = self._clock()
            due = [function for function, end in self._ends.items() if end <= now]
            for function in due:
                del self._ends[function]
            return due

    def _add(self, function: Interruptible, end: float) -> None:
        with self._changed:
            self._ends[function] = end
            if self._thread is None:
                thread = BackgroundThread("dewar-soft-limits", self._run)
                thread.start()
                self._thread = thread
            elif end < self._next_look:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            # Without the lock, which a thread takes whose function has ended.
            for function in self.take_due():
                function.interrupt()
            with self._changed:
                if not self._wait():
                    self._thread = None
                    return

    def _wait(self) -> bool:
        """Wait for the next end or a new function; return whether there is one."""
        now = self._clock()
        if self._ends:
            self._next_look = min(now + _LONGEST, *self._ends.values())
            self._changed.wait(self._next_look - now)
            return True
        self._next_look = now + _IDLE
        self._changed.wait(_IDLE)
        return bool(self._ends)

    def __repr__(self) -> str:
        return f"<SoftLimits of {len(self._ends)} functions>"
