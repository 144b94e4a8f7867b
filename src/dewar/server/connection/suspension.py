"""An exchange that waits on the event loop (see `dewar.server.loop.suspended`).

It goes to and fro between the loop's thread and threads that may block, and whoever has it has it
alone. `launch` gives it to the loop; the loop gives it back, once it has ended or there is
something to be done that may block. That is what `go_on` does then, on a thread of the pool.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from functools import partial
from typing import Protocol

from dewar.server.connection.exchange import Exchange
from dewar.server.errors import ClientGoneError
from dewar.server.loop.async_body import AsyncBody
from dewar.server.loop.process_loop import process_loop
from dewar.server.loop.suspended import OnLoop, Suspended


class Client(Protocol):
    """What a suspension needs of a connection."""

    def send(self, data: bytes) -> None:
        """Send *data*, or keep for later what does not go out at once."""

    async def taken(self) -> None:
        """Wait until the client has taken what was sent."""


class Suspension:
    """One exchange while it waits.

    Args:
        exchange: It has something `awaited`.
        connection: Where the response goes.
        context: What the application was called in.

    Attributes:
        has_ended: Whether the answer is given; the connection can go on then.
    """

    __slots__ = (
        "_awaited", "_connection", "_context", "_give_back", "_is_cancelled", "_rest", "_task",
        "exchange", "has_ended",
    )  # fmt: skip

    def __init__(self, exchange: Exchange, connection: Client, context: Context) -> None:
        self.exchange = exchange
        self._connection = connection
        self._context = context
        self._awaited = exchange.awaited
        self._rest: Callable[[], object] | None = None  # what may block
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        self.has_ended = False

    def __repr__(self) -> str:
        return f"<Suspension of {self.exchange!r}, {'ended' if self.has_ended else 'waiting'}>"

    # Whoever gives it away, and any thread.

    def launch(self, give_back: Callable[[], object]) -> None:
        """Give it to the loop's thread, which calls *give_back* in the end."""
        self._give_back = give_back
        process_loop.call_soon(self._begin)

    def cancel(self) -> None:
        """Have it end, because the client has gone. What is on a thread goes on there."""
        process_loop.call_soon(self._cancel)

    # On a thread that may block.

    def go_on(self) -> None:
        """Do what may block. It waits for the loop again unless it `has_ended`. Never raises."""
        rest, self._rest, self._awaited = self._rest, None, None
        try:
            self._context.run(rest or self._no_rest)
        except BaseException as error:  # noqa: BLE001 - a view's sys.exit() must not end our thread
            self.exchange.fail(error)
        if self._awaited is None:
            self._end()

    def _no_rest(self) -> None:
        """Stand for the rest where there is none."""

    def _work(self, suspended: Suspended) -> None:
        """Go on with the application's work."""
        suspended.go_on()
        result: Iterable[bytes] = suspended if suspended.wanted is not None else suspended.result
        if type(result) is AsyncBody or type(result) is Suspended:
            self._awaited = result
        else:
            self.exchange.deliver(result)

    # On the loop's thread.

    def _begin(self) -> None:
        # PERF: not by the loop's factory; it belongs to no request, it is one.
        self._task = asyncio.Task(self._run(), loop=process_loop.get(), context=self._context)

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        if self._is_cancelled:
            # Only now: one that is cancelled before its first step never takes it, and would
            # leave what it was to await.
            asyncio.current_task().cancel()  # type: ignore[union-attr]  # it is a task's
        try:
            await self._wait()
        except BaseException as error:  # noqa: BLE001 - it must not end the loop either
            self.exchange.fail(self._explained(error))
        if self._rest is None:
            self._end()
            self._give_back()
        else:
            # Not before this step has ended: a context lets one in at a time.
            asyncio.get_running_loop().call_soon(self._give_back, context=Context())

    async def _wait(self) -> None:
        """Do what does not block; leave a `_rest` where there is some."""
        awaited = self._awaited
        if type(awaited) is Suspended:
            await _await_all(awaited)
            if awaited.wanted is not None:
                self._rest = partial(self._work, awaited)
                return
            awaited = awaited.result
            if type(awaited) is list or type(awaited) is tuple:
                self.exchange.deliver_whole(awaited)
                return
        if type(awaited) is AsyncBody:
            self._rest = awaited.close
            await awaited.send_all(self._send)
            self.exchange.finish()
        elif awaited is not None:
            self._rest = partial(self.exchange.deliver, awaited)

    async def _send(self, data: bytes) -> None:
        if data or type(data) is not bytes:
            self._connection.send(self.exchange.framed(data))
            await self._connection.taken()

    def _explained(self, error: BaseException) -> BaseException:
        if self._is_cancelled and isinstance(error, asyncio.CancelledError):
            return ClientGoneError("The client has gone while the answer was waited for.")
        return error

    def _end(self) -> None:
        self.exchange.end()
        self.has_ended = True


async def _await_all(suspended: Suspended) -> None:
    """Give the application what it waits for, until it is done or wants a thread."""
    while type(wanted := suspended.wanted) is OnLoop:
        try:
            value = await wanted.coroutine
        except BaseException as error:  # noqa: BLE001 - the application decides what becomes of it
            suspended.go_wrong(error)
        else:
            suspended.go_on(value)
