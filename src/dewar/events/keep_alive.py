"""`with_keep_alive`: a stream of texts that sends a comment when nothing else is sent.

The source runs in one task from its beginning to its end, and is asked for the next text after the
last one was sent. Another task waits for the texts, so a comment never cancels what the source
waits for.

PERF: a callback checks the time, and no task. A silent stream costs some microseconds a second.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from dewar.events.event import KEEP_ALIVE_COMMENT

# How often a stream asks whether to end, in seconds.
_OVER_CHECK_INTERVAL = 1.0
# How long a cancelled source may take to end, in seconds. After that its scope reports it.
_END_TIMEOUT = 5.0

_END: Any = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class KeepAlive:
    """The options of a stream.

    Attributes:
        opening: The text that is sent at once, so that the client knows that it is connected.
        ping: The seconds without a text after which a comment is sent; None for never.
        is_over: Returns whether to end the stream.
    """

    opening: str
    ping: float | None
    is_over: Callable[[], bool]


async def with_keep_alive(
    source: AsyncGenerator[str, None], keep_alive: KeepAlive
) -> AsyncIterator[str]:
    """Yield what *source* yields, and comments while it is silent; end it with this.

    It ends about a second after `KeepAlive.is_over` said so. The source is then cancelled where it
    waits, as it is where this is cancelled or closed.

    Args:
        source: What it yields is asked for one by one.
        keep_alive: How the stream is sent.

    Raises:
        BaseException: What the source raised.
    """
    yield keep_alive.opening
    stream = _KeepAliveStream(source, keep_alive)
    try:
        while (item := await stream.next()) is not _END:
            yield item
            stream.resume_source()
    finally:
        await stream.stop()


class _KeepAliveStream:
    """Waits for the source, for a silence and for the end of the stream, all at once."""

    def __init__(self, source: AsyncGenerator[str, None], keep_alive: KeepAlive) -> None:
        self._source = source
        self._keep_alive = keep_alive
        self._interval = math.inf if keep_alive.ping is None else keep_alive.ping
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Any] = asyncio.Queue()
        self._silent_until = math.inf
        self._task = asyncio.create_task(self._forward())
        self._timer = self._loop.call_soon(self._check_time)

    async def next(self) -> Any:
        """Return the next text or comment, or `_END`."""
        self._silent_until = self._loop.time() + self._interval
        item = await self._items.get()
        self._silent_until = math.inf
        if isinstance(item, BaseException):
            raise item
        return item

    def resume_source(self) -> None:
        """Let the source continue."""
        self._items.task_done()

    async def stop(self) -> None:
        """End the source, if it has not ended."""
        self._timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task], timeout=_END_TIMEOUT)

    async def _forward(self) -> None:
        end: Any = _END
        try:
            async with aclosing(self._source):
                async for text in self._source:
                    self._items.put_nowait(text)
                    await self._items.join()
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            end = error
        self._items.put_nowait(end)

    def _check_time(self) -> None:
        now = self._loop.time()
        if self._keep_alive.is_over():
            self._items.put_nowait(_END)
            return
        if self._silent_until <= now:
            self._silent_until = math.inf
            self._items.put_nowait(KEEP_ALIVE_COMMENT)
        soon = now + min(_OVER_CHECK_INTERVAL, self._interval)
        self._timer = self._loop.call_at(min(soon, self._silent_until), self._check_time)
