"""`relayed`: a stream of texts that says now and then that it is still there.

The source runs in one task from its begin to its end, and is asked for the next text when the
last has been sent. What waits for it is not that task, so nothing that the source waits for is
ever given up because of a comment.

PERF: who looks at the clock is a callback and no task. A stream that is silent costs some
microseconds a second.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from dewar.events.event import STILL_HERE

# How often a stream asks whether it shall end, in seconds.
_ASKING = 1.0
# What a source gets to end after it was cancelled, in seconds. Its scope reports it then.
_LEAVE = 5.0

_END: Any = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """How a stream is sent.

    Attributes:
        opening: What is sent at once, so that the client knows that it is connected.
        ping: The seconds without a text after which a comment is sent; None for never.
        is_over: Whether the stream shall end.
    """

    opening: str
    ping: float | None
    is_over: Callable[[], bool]


async def relayed(source: AsyncGenerator[str, None], manner: Manner) -> AsyncIterator[str]:
    """Yield what *source* yields, and comments while it is silent; end it with this.

    It ends about a second after `Manner.is_over` said so. The source is then cancelled where it
    waits, as it is where this is cancelled or closed.

    Args:
        source: What it yields is asked for one by one.
        manner: How the stream is sent.

    Raises:
        BaseException: What the source raised.
    """
    yield manner.opening
    relay = _Relay(source, manner)
    try:
        while (came := await relay.next()) is not _END:
            yield came
            relay.resume_source()
    finally:
        await relay.stop()


class _Relay:
    """Who waits for a source, for silence and for the end of the stream at once."""

    def __init__(self, source: AsyncGenerator[str, None], manner: Manner) -> None:
        self._source = source
        self._manner = manner
        self._interval = math.inf if manner.ping is None else manner.ping
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Queue[Any] = asyncio.Queue()
        self._silent_until = math.inf
        self._task = asyncio.create_task(self._forward())
        self._timer = self._loop.call_soon(self._look)

    async def next(self) -> Any:
        """Return the next text or comment, or `_END`."""
        self._silent_until = self._loop.time() + self._interval
        came = await self._came.get()
        self._silent_until = math.inf
        if isinstance(came, BaseException):
            raise came
        return came

    def resume_source(self) -> None:
        """Let the source go on."""
        self._came.task_done()

    async def stop(self) -> None:
        """End the source, if it has not ended."""
        self._timer.cancel()
        self._task.cancel()
        await asyncio.wait([self._task], timeout=_LEAVE)

    async def _forward(self) -> None:
        end: Any = _END
        try:
            async with aclosing(self._source):
                async for text in self._source:
                    self._came.put_nowait(text)
                    await self._came.join()
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            end = error
        self._came.put_nowait(end)

    def _look(self) -> None:
        now = self._loop.time()
        if self._manner.is_over():
            self._came.put_nowait(_END)
            return
        if self._silent_until <= now:
            self._silent_until = math.inf
            self._came.put_nowait(STILL_HERE)
        soon = now + min(_ASKING, self._interval)
        self._timer = self._loop.call_at(min(soon, self._silent_until), self._look)
