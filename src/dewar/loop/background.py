"""`BackgroundWork`: work outside of a request, on the event loop and on threads."""

import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from dewar.loop.call_queue import CallQueue
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import OFF_LOOP, ON_LOOP, Suspended

if TYPE_CHECKING:
    import asyncio


class BackgroundWork:
    """Runs the steps of a `Suspended` on the loop and on threads; the first is on a thread.

    Args:
        steps: Makes the work, which handles its own errors.
        context: The work runs in it, and nothing else may.
        calls: The threads.
        discard: Called instead of the work if that is not done.
    """

    def __init__(
        self,
        steps: Callable[[], Coroutine[Any, Any, Any]],
        context: Context,
        calls: CallQueue,
        discard: Callable[[], object],
    ) -> None:
        self._steps = steps
        self.discard = discard
        self._suspended: Suspended  # set by `begin`
        self._context = context
        self._calls = calls
        self._task: asyncio.Task[None] | None = None
        # Cancelled while no step is on the loop; only the loop's thread uses it.
        self._is_cancelled = False
        self._ended = threading.Event()
        self._on_end: Callable[[], object] | None = None

    def __repr__(self) -> str:
        return f"<BackgroundWork {getattr(self, '_suspended', 'not begun')!r}>"

    def begin(self, on_end: Callable[[], object]) -> None:
        """Start the work; *on_end* is called at its end, on one of the threads."""
        self._on_end = on_end
        self._suspended = Suspended(self._steps(), OFF_LOOP, is_wholly_async=False)
        self._calls.call_soon(self._resume_on_thread)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the work has ended; return whether it did within *timeout* seconds."""
        return self._ended.wait(timeout)

    def cancel(self) -> None:
        """Cancel the step on the loop, or the next one there. A step on a thread goes on."""
        process_loop.call_soon(self._cancel)

    def _resume_on_thread(self) -> None:
        try:
            self._context.run(self._suspended.resume)
        finally:
            self._schedule()

    def _schedule(self) -> None:
        resume_on = self._suspended.resume_on
        if resume_on is ON_LOOP:
            process_loop.call_soon(self._begin_task)
        elif resume_on is OFF_LOOP:
            self._calls.call_soon(self._resume_on_thread)
        else:
            self._ended.set()
            if self._on_end is not None:
                self._on_end()

    # On the loop's thread.

    def _begin_task(self) -> None:
        import asyncio  # the loop runs, so it is loaded

        loop = process_loop.get()
        self._task = asyncio.Task(self._resume_on_loop(), loop=loop, context=self._context)
        # In another context: only one caller at a time can be in a context.
        self._task.add_done_callback(lambda _: self._schedule(), context=Context())
        if self._is_cancelled:
            # A task that is cancelled before it begins never takes the step that would clean up.
            loop.call_soon(self._task.cancel)
            self._is_cancelled = False

    async def _resume_on_loop(self) -> None:
        await self._suspended

    def _cancel(self) -> None:
        if self._task is None or self._task.done():
            self._is_cancelled = True
        else:
            self._task.cancel()
