"""An exchange that waits on the event loop (see `dewar.loop.suspended`).

It moves between the loop's thread and threads that may block, and one thread owns it at a time.
`launch` gives it to the loop. The loop gives it back when it has ended, or when the next step may
block. `resume` does that step, on a thread of the pool.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from enum import Enum
from functools import partial
from typing import Any

from dewar.loop.async_body import AsyncBody
from dewar.loop.eager_task import start_eagerly
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import Suspended
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.transport import Transport
from dewar.server.errors import ClientGoneError


class Cancellation(Enum):
    """Whether the work is cancelled. It is cancelled once, so that its cleanup can finish."""

    NONE = "the client is connected"
    REQUESTED = "the client has disconnected, and the work is not cancelled yet"
    DELIVERED = "the work was cancelled"


class AsyncExchange:
    """One exchange while it waits.

    Args:
        exchange: The exchange, with something `awaited`.
        transport: Where the response goes.
        context: The context that the application was called in.

    Attributes:
        has_ended: Whether nothing waits for the loop any more, so that the connection can go on.
            The rest of the body may still wait for the client; then the exchange has it `awaited`.
        is_wholly_async: Whether all of it can run on the loop's thread.
    """

    __slots__ = (
        "_awaited", "_cancellation", "_give_back", "_rest", "_task", "_transport", "context",
        "exchange", "has_ended", "is_wholly_async",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, transport: Transport, context: Context) -> None:
        self.exchange = exchange
        self._transport = transport
        self.context = context
        awaited, exchange.awaited = exchange.awaited, None
        self._awaited = awaited
        self._rest: Callable[[], object] | None = None  # the next step, if it may block
        self._give_back: Callable[[Any], object] | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancellation = Cancellation.NONE
        self.has_ended = False
        self.is_wholly_async = type(awaited) is Suspended and awaited.is_wholly_async

    def __repr__(self) -> str:
        return f"<AsyncExchange of {self.exchange!r}, {'ended' if self.has_ended else 'waiting'}>"

    # From any thread; `launch` from the owner.

    def try_finish(self) -> bool:
        """Begin if the caller is on the loop's thread; return whether the exchange has ended."""
        if process_loop.is_here():
            self._task = start_eagerly(process_loop.get(), self._run(), self.context)
        return self.has_ended

    def launch(self, give_back: Callable[[Any], object]) -> None:
        """Give it to the loop's thread, which calls *give_back* when it gives it back.

        Args:
            give_back: Called with the transport.
        """
        # PERF: not a `partial` with the transport: thousands of sockets may wait here.
        self._give_back = give_back
        if self._task is None:
            process_loop.call_soon(self._begin)
        elif self._task.done():
            process_loop.call_soon(give_back, self._transport)

    def cancel(self) -> None:
        """Cancel the work, because the client has disconnected. A step on a thread continues."""
        process_loop.call_soon(self._cancel)

    # On a thread that may block.

    def resume(self) -> None:
        """Do the step that may block; then it `has_ended`, or waits for the loop. Never raises."""
        rest, self._rest, self._awaited = self._rest, None, None
        self._task = None
        try:
            if rest is not None:
                self.context.run(rest)
        except BaseException as error:  # noqa: BLE001 - a view's sys.exit() must not end the thread
            self.exchange.fail(self._translate_error(error))
        if self._awaited is None:
            self._end()

    def _work(self, suspended: Suspended) -> None:
        """Continue the application's work."""
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
        # PERF: without the loop's task factory, which is for tasks inside a request.
        asyncio.Task(self._run(is_new_task=True), loop=process_loop.get(), context=self.context)

    def _cancel(self) -> None:
        if self._cancellation is Cancellation.NONE:
            is_delivered = self._task is not None and self._task.cancel()
            self._cancellation = Cancellation.DELIVERED if is_delivered else Cancellation.REQUESTED

    def _note_task(self) -> None:
        # A task that is cancelled before its first step never runs, and would never close what it
        # awaits. So an early cancellation is delivered here.
        task = self._task = asyncio.current_task()
        if task is not None and self._cancellation is Cancellation.REQUESTED:
            self._cancellation = Cancellation.DELIVERED
            task.cancel()

    async def _run(self, is_new_task: bool = False) -> None:
        if is_new_task:
            self._note_task()
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
            return  # the caller of `try_finish` still owns it
        if self.has_ended:
            self._give_back(self._transport)
        else:
            # After this step, because only one thread at a time can run in a context.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._give_back, self._transport, context=Context())

    def _take_result(self, suspended: Suspended) -> Iterable[bytes] | None:
        """Send a complete result; return any other. A step that may block becomes `_rest`."""
        if suspended.resume_on is not None:
            self._rest = partial(self._work, suspended)
            return None
        result = suspended.result
        if type(result) is list or type(result) is tuple:
            self.exchange.deliver_whole(result)
            return None
        return result

    async def _send_result(self, result: Iterable[bytes]) -> None:
        """Send a body piece by piece; if that may block it becomes `_rest`."""
        if type(result) is AsyncBody:
            self._rest = result.close
            await result.send_all(self._send)
            self.exchange.finish()
        else:
            self._rest = partial(self.exchange.deliver, result)

    async def _send(self, data: bytes) -> None:
        if data or type(data) is not bytes:
            self._transport.send(self.exchange.framed(data))
            await self._transport.drain()

    def _translate_error(self, error: BaseException) -> BaseException:
        """Return a `ClientGoneError` for the cancellation by `cancel`, else *error* itself."""
        is_cancelled = self._cancellation is not Cancellation.NONE
        if is_cancelled and isinstance(error, asyncio.CancelledError):
            return ClientGoneError("The client disconnected before the response was ready.")
        return error

    def _end(self) -> None:
        if self.exchange.awaited is None:
            self.exchange.end()
        self.has_ended = True
