"""Pieces that a coroutine sends, for a thread that iterates."""

import asyncio
import queue
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

from dewar.loop.from_thread import maybe_other_thread, one_other_thread
from dewar.loop.process_loop import process_loop

SendAll = Callable[[Callable[[bytes], Awaitable[object]]], Coroutine[Any, Any, None]]

_END: Any = object()


def blocking_iterator(send_all: SendAll) -> Generator[bytes, None, None]:
    """Yield what a coroutine sends, one piece at a time: it waits until the next is asked for.

    The coroutine is one task of the process's event loop, in a copy of the caller's context.

    Args:
        send_all: Makes the coroutine; it is given what to send with.
    """
    if maybe_other_thread() is None:
        return _LoopStream(send_all, copy_context()).pieces()
    return _iterate_steps(_SteppedStream(send_all), copy_context())


class _LoopStream:
    """One stream, between the loop's thread, which makes it, and the one that takes it."""

    def __init__(self, send_all: SendAll, context: Context) -> None:
        self._send_all = send_all
        self._context = context
        self._came: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def pieces(self) -> Generator[bytes, None, None]:
        has_ended = False
        process_loop.call_soon(self._begin)
        try:
            while True:
                came = self._came.get()
                if type(came) is not bytes:
                    has_ended = True
                    break
                yield came
                process_loop.call_soon(self._asked.set)
        finally:
            if not has_ended:
                process_loop.call_soon(self._stop)
                # The collector of garbage closes what was dropped, on any thread: the loop's can
                # not wait for itself.
                while not process_loop.is_here() and type(self._came.get()) is bytes:
                    pass
        if came is not _END:
            raise came

    def _begin(self) -> None:
        # Not of the request's scope: whoever iterates ends it.
        self._task = asyncio.Task(self._work(), loop=process_loop.get(), context=self._context)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        end: Any = _END
        try:
            await self._send_all(self._send)
        except BaseException as error:  # noqa: BLE001  # raised where it is iterated
            end = error
        self._came.put(end)

    async def _send(self, piece: bytes) -> None:
        self._came.put(piece)
        await self._asked.wait()
        self._asked.clear()


class _SteppedStream:
    """One stream on a loop that runs only while the next piece is waited for."""

    def __init__(self, send_all: SendAll) -> None:
        self._send_all = send_all
        self._came: asyncio.Queue[Any] = asyncio.Queue()
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def next(self) -> Any:
        """Return the next piece, or `_END`."""
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        self._asked.set()
        came = await self._came.get()
        if came is _END:
            await self._task
        return came

    async def stop(self) -> None:
        """End the stream, if it has not ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        try:
            await self._send_all(self._send)
        finally:
            self._came.put_nowait(_END)

    async def _send(self, piece: bytes) -> None:
        self._asked.clear()
        self._came.put_nowait(piece)
        await self._asked.wait()


def _iterate_steps(steps: _SteppedStream, context: Context) -> Generator[bytes, None, None]:
    runner = asyncio.Runner()

    def run(step: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return runner.run(step(), context=context)

    with one_other_thread() as apply:
        try:
            while (came := apply(run, steps.next)) is not _END:
                yield came
        finally:
            apply(run, steps.stop)
            apply(runner.close)
