"""`ArrivedSignals`: which signals have arrived for handlers of the program."""

import signal
import threading
from types import TracebackType
from typing import Self

from dewar.support.waker import Waker


class ArrivedSignals:
    """Notes signals while it is entered on the main thread, and leaves their handlers alone.

    So it can be told whether a ``sys.exit()`` may be that of a handler. If the program sets a
    wake-up descriptor of its own meanwhile, that stays, and nothing is noted.

    A handler may also raise while this is left, or `taken`: then that is raised.
    """

    def __init__(self) -> None:
        self._waker: Waker | None = None
        self._programs_fd = -1

    def __repr__(self) -> str:
        return f"<ArrivedSignals, {'none' if self._waker is None else 'noted'}>"

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._waker = Waker()
            self._programs_fd = signal.set_wakeup_fd(
                self._waker.signal_fd, warn_on_full_buffer=False
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        waker = self._waker
        if waker is None:
            return
        found = signal.set_wakeup_fd(self._programs_fd)
        if found != waker.signal_fd:
            signal.set_wakeup_fd(found)
        if kind is None:
            self.taken()

    def taken(self) -> frozenset[int]:
        """Return the signals, once: what is left of it is closed."""
        waker = self._waker
        if waker is None:
            return frozenset()
        numbers = frozenset(waker.clear())
        waker.close()
        self._waker = None
        return numbers
