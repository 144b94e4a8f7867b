"""An exchange that waits on the event loop (see `dewar.loop.suspended`).

It goes to and fro between the loop's thread and threads that may block, and whoever has it has it
alone. `launch` gives it to the loop; the loop gives it back, once it has ended or there is
something to be done that may block. That is what `resume` does then, on a thread of the pool.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from enum import Enum
from functools import partial
from typing import Protocol

from dewar.loop.async_body import AsyncBody
from dewar.loop.eager_task import start_eagerly
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import Suspended
from dewar.server.connection.exchange import Exchange
from dewar.server.errors import ClientGoneError


class AsyncTransport(Protocol):
    """What an asynchronous exchange needs of a connection."""

    def send(self, data: bytes) -> None:
        """Send *data*, or keep for later what does not go out at once."""

    async def drain(self) -> None:
        """Wait until the client has taken what was sent."""


class Cancellation(Enum):
    """Whether the work is to be cut short, which it is told once: what cleans up goes on."""

    NONE = "the client is there"
    REQUESTED = "the client has gone, and the work has yet to be told"
    DELIVERED = "the work was cancelled"


class AsyncExchange:
    """One exchange while it waits.

    Args:
        exchange: It has something `awaited`.
        connection: Where the response goes.
        context: What the application was called in.

    Attributes:
        has_ended: Whether the answer is given; the connection can go on then.
        is_wholly_async: Whether the loop's thread could have begun with it, and can end it.
    """

    __slots__ = (
        "_awaited", "_cancellation", "_connection", "_context", "_give_back", "_rest", "_task",
        "exchange", "has_ended", "is_wholly_async",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, connection: AsyncTransport, context: Context) -> None:
        self.exchange = exchange
        self._connection = connection
        self._context = context
        self._awaited = exchange.awaited
        self._rest: Callable[[], object] | None = None  # what may block
        self._give_back: Callable[[], object] | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancellation = Cancellation.NONE
        self.has_ended = False
        awaited = exchange.awaited
        self.is_wholly_async = type(awaited) is Suspended and awaited.is_wholly_async

    def __repr__(self) -> str:
        return f"<AsyncExchange of {self.exchange!r}, {'ended' if self.has_ended else 'waiting'}>"

    # Whoever gives it away, and any thread.

    def try_finish(self) -> bool:
        """Begin if the caller is on the loop's thread; return whether it has ended by now."""
        if process_loop.is_here():
            self._task = start_eagerly(process_loop.get(), self._run(), self._context)
        return self.has_ended

    def launch(self, give_back: Callable[[], object]) -> None:
        """Give it to the loop's thread, which calls *give_back* in the end."""
        self._give_back = give_back
        if self._task is None:
            process_loop.call_soon(self._begin)
        elif self._task.done():
            process_loop.call_soon(give_back)

    def cancel(self) -> None:
        """Have it end, because the client has gone. What is on a thread goes on there."""
        process_loop.call_soon(self._cancel)

    # On a thread that may block.

    def resume(self) -> None:
        """Do what may block. It waits for the loop again unless it `has_ended`. Never raises."""
        rest, self._rest, self._awaited = self._rest, None, None
        self._task = None
        try:
            self._context.run(rest or self._do_nothing)
        except BaseException as error:  # noqa: BLE001 - a view's sys.exit() must not end our thread
            self.exchange.fail(self._translate_error(error))
        if self._awaited is None:
            self._end()

    def _do_nothing(self) -> None:
        """Stand for the rest where there is none."""

    def _work(self, suspended: Suspended) -> None:
        """Go on with the application's work."""
        suspended.resume()
        result: Iterable[bytes] = suspended if suspended.resume_on is not None else suspended.result
        if type(result) is AsyncBody or type(result) is Suspended:
            self._awaited = result
        elif type(result) is list or type(result) is tuple:
            self.exchange.deliver_whole(result)
        else:
            self.exchange.deliver(result)

    # On the loop's thread.

    def _begin(self) -> None:
        # PERF: not by the loop's factory; it belongs to no request, it is one.
        asyncio.Task(self._begin_run(), loop=process_loop.get(), context=self._context)

    def _cancel(self) -> None:
        if self._cancellation is Cancellation.NONE:
            is_told = self._task is not None and self._task.cancel()
            self._cancellation = Cancellation.DELIVERED if is_told else Cancellation.REQUESTED

    async def _begin_run(self) -> None:
        # Not before its first step: one that is cancelled before that never takes it, and would
        # leave what it was to await.
        task = self._task = asyncio.current_task()
        if task is not None and self._cancellation is Cancellation.REQUESTED:
            self._cancellation = Cancellation.DELIVERED
            task.cancel()
        await self._run()

    async def _run(self) -> None:
        try:
            awaited = self._awaited
            if type(awaited) is Suspended:
                await awaited
                awaited = self._take_result(awaited)
            if awaited is not None:
                await self._send_result(awaited)
        except BaseException as error:  # noqa: BLE001 - it must not end the loop either
            self.exchange.fail(self._translate_error(error))
        if self._rest is None:
            self._end()
        if self._give_back is None:
            return  # the one that began it is here still
        if self.has_ended:
            self._give_back()
        else:
            # Not before this step has ended: a context lets one in at a time.
            asyncio.get_running_loop().call_soon(self._give_back, context=Context())

    def _take_result(self, suspended: Suspended) -> Iterable[bytes] | None:
        """Send what can be sent at once; return what cannot. What may block is the `_rest`."""
        if suspended.resume_on is not None:
            self._rest = partial(self._work, suspended)
            return None
        result = suspended.result
        if type(result) is list or type(result) is tuple:
            self.exchange.deliver_whole(result)
            return None
        return result

    async def _send_result(self, result: Iterable[bytes]) -> None:
        """Send a body piece by piece, where that does not block; else that is the `_rest`."""
        if type(result) is AsyncBody:
            self._rest = result.close
            await result.send_all(self._send)
            self.exchange.finish()
        else:
            self._rest = partial(self.exchange.deliver, result)

    async def _send(self, data: bytes) -> None:
        if data or type(data) is not bytes:
            self._connection.send(self.exchange.framed(data))
            await self._connection.drain()

    def _translate_error(self, error: BaseException) -> BaseException:
        """Return what *error* stands for: the client's leaving is no failure of the view."""
        is_asked = self._cancellation is not Cancellation.NONE
        if is_asked and isinstance(error, asyncio.CancelledError):
            return ClientGoneError("The client has gone while the answer was waited for.")
        return error

    def _end(self) -> None:
        self.exchange.end()
        self.has_ended = True
