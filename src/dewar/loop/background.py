"""`BackgroundWork`: work outside of a request, in steps on the event loop and on threads."""

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
    """Runs the steps of a `Suspended`, each where it belongs. It begins on a thread.

    Args:
        steps: Makes the work. It keeps its errors to itself.
        context: What it runs in; nobody else may be in it.
        calls: The threads.
        discard: Called in place of the work where that is not to be done.
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
        self._suspended: Suspended  # from its begin on
        self._context = context
        self._calls = calls
        self._task: asyncio.Task[None] | None = None
        self._ended = threading.Event()
        self._on_end: Callable[[], object] | None = None

    def __repr__(self) -> str:
        return f"<BackgroundWork {getattr(self, '_suspended', 'not begun')!r}>"

    def begin(self, on_end: Callable[[], object]) -> None:
        """Begin; *on_end* is called in the end, on one of its threads."""
        self._on_end = on_end
        self._suspended = Suspended(self._steps(), OFF_LOOP, is_wholly_async=False)
        self._calls.call_soon(self._resume_on_thread)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; tell whether it did within *timeout* seconds."""
        return self._ended.wait(timeout)

    def cancel(self) -> None:
        """Cancel what is awaited on the loop. What is on a thread goes on."""
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
        # Not from within: a context lets one in at a time.
        self._task.add_done_callback(lambda _: self._schedule(), context=Context())

    async def _resume_on_loop(self) -> None:
        await self._suspended

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
