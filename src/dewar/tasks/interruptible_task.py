"""`InterruptibleTask`: a coroutine of a job, and the task that waits for it.

Asyncio throws one exception into a task from outside: a cancellation. If it is for the soft limit,
`_Steps` throws `_CancelledBySoftLimit` into the coroutine instead. That is a cancellation too, so
that task groups, timeouts and locks that the coroutine waits in clean up as for any other.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from dewar.tasks.errors import SoftTimeLimitExceeded


class _CancelledBySoftLimit(SoftTimeLimitExceeded, asyncio.CancelledError):
    """What a coroutine gets when its soft limit is over."""


class InterruptibleTask:
    """A coroutine that runs in the current task. Any thread may call `cancel` and `interrupt`.

    Args:
        coroutine: The coroutine.
        limit: The name of the job and its soft limit in seconds; None if it has none.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], limit: tuple[str, float] | None
    ) -> None:
        self._coroutine = coroutine
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        # Only the loop's thread changes these.
        self._has_ended = False
        self._is_cancelled = False
        self._is_interrupted = False

    def cancel(self) -> None:
        """Cancel the coroutine."""
        self._call_soon(self._cancel)

    def interrupt(self) -> None:
        """Throw the error of the soft limit into the coroutine."""
        self._call_soon(self._interrupt)

    async def wait(self) -> Any:
        """Return the result of the coroutine.

        Raises:
            SoftTimeLimitExceeded: If that has left the coroutine.
            BaseException: What else the coroutine raised.
        """
        coroutine = self._coroutine
        try:
            return await (coroutine if self._limit is None else _Steps(coroutine, self._translated))
        except _CancelledBySoftLimit as error:
            # A task that ends with a cancellation loses the exception.
            plain = SoftTimeLimitExceeded(error.name, error.seconds)
            raise plain.with_traceback(error.__traceback__) from error.__cause__
        finally:
            self._has_ended = True

    def is_cancellation(self, error: BaseException) -> bool:
        """Return whether the coroutine ended with an error because of `cancel`."""
        return self._is_cancelled and isinstance(error, asyncio.CancelledError)

    def _call_soon(self, function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed, and the coroutine has ended
            self._loop.call_soon_threadsafe(function)

    def _cancel(self) -> None:
        if not self._has_ended and self._task is not None:
            self._is_cancelled = True
            self._task.cancel()

    def _interrupt(self) -> None:
        if not self._has_ended and self._task is not None:
            self._is_interrupted = True
            self._task.cancel()

    def _translated(self, error: BaseException) -> BaseException:
        """Return what to throw into the coroutine instead of an error."""
        is_ours = self._is_interrupted and isinstance(error, asyncio.CancelledError)
        if not is_ours or self._limit is None or self._task is None:
            return error
        self._is_interrupted = False
        self._task.uncancel()
        # A cancellation that came meanwhile is not thrown a second time.
        return error if self._is_cancelled else _CancelledBySoftLimit(*self._limit)

    def __repr__(self) -> str:
        return f"<InterruptibleTask {'ended' if self._has_ended else 'running'}>"


class _Steps:
    """Awaits a coroutine step by step, and translates what is thrown into it."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        translated: Callable[[BaseException], BaseException],
    ) -> None:
        self._coroutine = coroutine
        self._translated = translated

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                awaited = step(value)
            except StopIteration as end:
                return end.value
            try:
                step, value = self._coroutine.send, (yield awaited)
            except BaseException as error:  # noqa: BLE001  # the coroutine gets it
                step, value = self._coroutine.throw, self._translated(error)
