"""`AsyncBody`: the body of a response that an asynchronous iterator makes, piece by piece."""

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from dewar.loop.from_thread import maybe_other_thread, one_other_thread
from dewar.loop.process_loop import process_loop
from dewar.loop.task_scope import TaskScope, current_scope

Send = Callable[[bytes], Awaitable[object]]
SendAll = Callable[[Send], Coroutine[Any, Any, None]]

_END: Any = object()


class AsyncBody:
    """An iterable of bytes whose pieces come from an asynchronous iterator.

    A server that knows it calls `send_all` on the event loop, and the next piece is asked for when
    the client has taken the last. For any other server it is an iterable whose thread waits.

    Args:
        source: Yields bytes. It is closed however the response ends, if it can be closed.
        on_close: Called when the response has ended.
    """

    __slots__ = ("_on_close", "_pieces", "_source")

    def __init__(
        self, source: AsyncIterator[bytes], on_close: Callable[[], object] | None = None
    ) -> None:
        self._source = source
        self._on_close = on_close
        self._pieces: Iterator[bytes] | None = None

    def __repr__(self) -> str:
        return f"<AsyncBody {self._source!r}>"

    async def send_all(self, send: Send) -> None:
        """Send each piece and close the source; call this on the event loop.

        The tasks that the source has started end with it.

        Args:
            send: Called with each piece; returns when the next piece can be sent.
        """
        await _send_all(self._source, send)

    def __iter__(self) -> Iterator[bytes]:
        if self._pieces is None:
            self._pieces = _blocking_iterator(partial(_send_all, self._source))
        return self._pieces

    def __next__(self) -> bytes:
        return next(iter(self))

    def close(self) -> None:
        """End the response, and the iteration of a thread."""
        try:
            if self._pieces is not None:
                self._pieces.close()  # type: ignore[attr-defined]  # a generator
        finally:
            if self._on_close is not None:
                self._on_close()


# Not a method: a body that is dropped half way must not wait for the garbage collector, which may
# run on the loop's thread.
async def _send_all(source: AsyncIterator[bytes], send: Send) -> None:
    scope = TaskScope(source)
    before = current_scope.set(scope)
    is_cut_off = True
    try:
        async for piece in source:
            await send(piece)
        is_cut_off = False
    finally:
        try:
            close: Any = getattr(source, "aclose", None)
            if close is not None:
                await close()
            await scope.end(is_cut_off)
        finally:
            current_scope.reset(before)


def _blocking_iterator(send_all: SendAll) -> Generator[bytes, None, None]:
    """Yield what a coroutine sends, piece by piece; it waits until the next one is asked for.

    The coroutine is one task of the process's event loop, in a copy of the caller's context.

    Args:
        send_all: Makes the coroutine; its argument sends a piece.
    """
    if maybe_other_thread() is None:
        return _LoopStream(send_all, copy_context()).pieces()
    return _iterate_steps(_SteppedStream(send_all), copy_context())


class _LoopStream:
    """One stream between the loop's thread, which makes it, and the thread that iterates it."""

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
                # The garbage collector may close a dropped stream on any thread, and the loop's
                # thread cannot wait for itself.
                while not process_loop.is_here() and type(self._came.get()) is bytes:
                    pass
        if came is not _END:
            raise came

    def _begin(self) -> None:
        # Not in the request's scope: the iterator ends it.
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
    """One stream on a loop that runs only while a thread waits for the next piece."""

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
