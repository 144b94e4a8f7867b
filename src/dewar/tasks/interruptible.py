"""`Interruptible`: the function of a job while it runs, as other threads reach it.

They can tell it two things: that the job is to be cancelled, which a function looks up and a
coroutine gets as a cancellation; and that its soft limit is over, which is raised in it.

Invariants:

1. What is raised is raised only while the window is open: while the job's own code runs on its own
   thread, and not in a `shielded` function. The window is opened and closed under the lock under
   which others look at it.
2. Closing the window takes back what was sent and not raised. So it never reaches the code behind
   the function, or the next job of the thread.
3. It is raised once, unless Python drops it in a finalizer; see `dewar.tasks.swallowed`.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from enum import Enum, auto
from functools import partial
from inspect import CO_COROUTINE, iscoroutinefunction
from types import CoroutineType
from typing import Any, TypeVar

from dewar.tasks.errors import SoftTimeLimitExceeded
from dewar.tasks.interruptible_task import InterruptibleTask
from dewar.tasks.raisers import Raiser, ThreadRaiser
from dewar.tasks.swallowed import swallowed_errors

R = TypeVar("R")


# The seconds after which it is raised again if it was dropped.
_AGAIN = 0.01


class SoftLimit(Enum):
    """Whether the soft limit is over. It changes from one to the next, never back."""

    AHEAD = auto()
    #: It is over, and the function could not be told yet.
    DUE = auto()
    TOLD = auto()


class Interruptible:
    """The function of one job. It runs once; any thread may call `cancel` and `interrupt`.

    Args:
        name: The name of the function or task, for messages.
        soft_timeout: The seconds after which `interrupt` is to be called; None for never.
        make_raiser: Makes what raises in the thread of the function, in that thread.
    """

    # PERF: there is one for each job, and nobody reaches most of them.
    #: Whether the job is to be cancelled.
    is_cancelled = False
    _limit = SoftLimit.AHEAD
    _is_open = False
    _raiser: Raiser | None = None
    _ident: int | None = None
    _task: InterruptibleTask | None = None

    def __init__(
        self,
        name: str,
        soft_timeout: float | None = None,
        make_raiser: Callable[[], Raiser] = ThreadRaiser,
    ) -> None:
        self.soft_timeout = soft_timeout
        self._name = name
        self._make_raiser = make_raiser
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Tell the function that the job is to be cancelled: once, so that it can clean up."""
        with self._lock:
            if self.is_cancelled:
                return
            # First: the coroutine may look as soon as it is cancelled.
            self.is_cancelled = True
            if self._task is not None:
                self._task.cancel()

    def interrupt(self) -> None:
        """Raise `SoftTimeLimitExceeded` in the function, as soon as its own code runs."""
        with self._lock:
            if self._limit is SoftLimit.AHEAD:
                self._tell()

    def guard(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that calls the job's, which the others reach then.

        It is a coroutine function if the job's is one.
        """
        # PERF: most functions are plain, and the check for all the others takes a microsecond.
        code = getattr(function, "__code__", None)
        is_plain = code is not None and not code.co_flags & CO_COROUTINE
        if is_plain or not iscoroutinefunction(function):
            return partial(self._run, function)

        async def run(*args: Any, **kwargs: Any) -> Any:
            return await self._wait(function(*args, **kwargs))

        return run

    def shield(
        self, function: Callable[..., R], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> R:
        """Call a function in which nothing is raised: before it, or else after it."""
        # Only the function's own thread opens and closes the window. A coroutine has none.
        if not self._is_open or self._ident != threading.get_ident() or self._raiser is None:
            return function(*args, **kwargs)
        try:
            self._close()
            return function(*args, **kwargs)
        finally:
            self._open()

    def _tell(self) -> None:
        """Raise it now if that is possible, and else later. The caller holds the lock."""
        self._limit = SoftLimit.DUE
        if self._task is not None:
            self._limit = SoftLimit.TOLD
            self._task.interrupt()
        elif self._is_open and self._raiser is not None:
            self._limit = SoftLimit.TOLD
            self._raiser.send()

    def _tell_again(self) -> None:
        with self._lock:
            self._tell()

    def _on_swallowed(self) -> None:
        # Not at once: what runs here is a finalizer still. And without the lock, which this thread
        # may hold.
        timer = threading.Timer(_AGAIN, self._tell_again)
        timer.daemon = True
        timer.start()

    def _run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self.soft_timeout is None:
            result = function(*args, **kwargs)
        else:
            result = self._run_in_window(function, args, kwargs)
        # The caller runs it.
        return self._wait(result) if type(result) is CoroutineType else result

    def _run_in_window(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        self._raiser, self._ident = self._make_raiser(), threading.get_ident()
        swallowed = swallowed_errors()
        swallowed.watch(self._on_swallowed)
        try:
            try:
                self._open()
                return function(*args, **kwargs)
            finally:
                self._end()
        except BaseException as error:
            # It may have been raised on the way to the end. There is no second one.
            self._end()
            self._complete(error)
            raise
        finally:
            swallowed.forget()

    def _open(self) -> None:
        with self._lock:
            self._is_open = True
            is_late = self._limit is SoftLimit.DUE
            if is_late:
                self._limit = SoftLimit.TOLD
        if is_late:
            raise SoftTimeLimitExceeded

    def _close(self) -> None:
        with self._lock:
            self._is_open = False
        if self._raiser is not None:
            self._raiser.flush()

    def _end(self) -> None:
        with self._lock:
            self._is_open = False
            if self._limit is SoftLimit.TOLD and self._raiser is not None:
                self._raiser.clear()

    async def _wait(self, coroutine: Any) -> Any:
        limit = None if self.soft_timeout is None else (self._name, self.soft_timeout)
        task = InterruptibleTask(coroutine, limit)
        with self._lock:
            self._task = task
            if self.is_cancelled:
                task.cancel()
            if self._limit is SoftLimit.DUE:
                self._limit = SoftLimit.TOLD
                task.interrupt()
        try:
            return await task.wait()
        except BaseException as error:
            if task.is_cancellation(error):
                # Of concurrent.futures, because a task loses one of asyncio.
                raise CancelledError(f"{self._name} was cancelled.") from error
            raise
        finally:
            with self._lock:
                self._task = None

    def _complete(self, error: BaseException) -> None:
        """Write into an error from a thread what it is about: there it is made of its class."""
        if isinstance(error, SoftTimeLimitExceeded) and not error.seconds:
            error.__init__(self._name, self.soft_timeout or 0.0)  # type: ignore[misc]

    def __repr__(self) -> str:
        state = "cancelled" if self.is_cancelled else self._limit.name.lower()
        return f"<Interruptible {self._name}, {state}>"
