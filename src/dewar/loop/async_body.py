"""`AsyncBody`: the body of a response that an asynchronous iterator makes, piece by piece."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from dewar.loop.blocking_iterator import blocking_iterator
from dewar.loop.task_scope import TaskScope, current_scope

Send = Callable[[bytes], Awaitable[object]]


class AsyncBody:
    """An iterable of bytes whose pieces come from an asynchronous iterator.

    A server that knows of it calls `send_all` on the event loop, and the next piece is asked for
    when the client has taken the last. For every other server it is an iterable whose thread waits.

    Args:
        source: Yields bytes. It is closed, where it can be, however the response ends.
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
        """Send each piece and close the source; for the event loop.

        Tasks that the source has begun end with it.

        Args:
            send: Called with each piece; returns when there is room for another.
        """
        await _send_all(self._source, send)

    def __iter__(self) -> Iterator[bytes]:
        if self._pieces is None:
            self._pieces = blocking_iterator(partial(_send_all, self._source))
        return self._pieces

    def __next__(self) -> bytes:
        return next(iter(self))

    def close(self) -> None:
        """Tell that the response has ended; end what a thread was iterating."""
        try:
            if self._pieces is not None:
                self._pieces.close()  # type: ignore[attr-defined]  # a generator
        finally:
            if self._on_close is not None:
                self._on_close()


# A function, and not a method: a body that is dropped half way must not wait for the collector of
# garbage, which may come by on the loop's thread.
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
