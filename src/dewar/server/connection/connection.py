"""One client's connection: it receives requests, and runs them.

Who may call what. A connection belongs to the leader, except while it is RUNNING: then it
belongs to the thread that called `run`; and while it is SUSPENDED: then to the thread of the event
loop, until that has given it back. `receive`, `flush`, `expire` and `close` are the leader's. No
method blocks but `run`, and that only in the application or for a slow reader of a response that
is bound to its thread.

An exchange, an asynchronous exchange and a continue body refer back to their connection, which is
their transport, and they end before it. A transport object apart from the connection would cost a
look-up per request.
"""

import socket
import sys
from collections.abc import Callable
from contextvars import Context

from dewar.server.connection.async_exchange import AsyncExchange
from dewar.server.connection.base_connection import BaseConnection
from dewar.server.connection.continue_body import ContinueBody
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.large_body import receive_more
from dewar.server.connection.piecewise_body import PiecewiseBody
from dewar.server.connection.readiness import READ_SIZE
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import ConnectionState
from dewar.server.connection.transport import TransferRate
from dewar.server.errors import ClientGoneError
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.request import Environ
from dewar.server.wire.writer import CONTINUE

_IDLE, _READY, _RUNNING = ConnectionState.IDLE, ConnectionState.READY, ConnectionState.RUNNING
_START, _BODY = ReadPhase.START, ReadPhase.BODY


class Connection(BaseConnection):
    """A client's connection, from accept to close.

    Attributes:
        interest: The events that the poller reports for it; the pool keeps it here.
        async_exchange: The exchange that waits on the event loop, if there is one.
    """

    __slots__ = ("_recv", "async_exchange", "interest")

    def __init__(
        self, server_context: ServerContext, sock: socket.socket, environ: Environ
    ) -> None:
        super().__init__(server_context, sock, environ)
        self._recv: Callable[[int], bytes] = sock.recv
        self.interest = 0
        self.async_exchange: AsyncExchange | None = None

    def receive(self) -> bool:
        """Read from the socket; return whether there is a request to `run`."""
        recv = self._recv  # PERF: a call of an attribute that is no method is slower
        try:
            data = recv(READ_SIZE)
        except BlockingIOError:
            return False  # a stale event
        except OSError:
            data = b""  # a reset by the client is the same as its end here
        reader = self._reader
        if not data:
            if reader.completed:
                return True  # a stale event: the end is read again after the request
            self._move(ConnectionState.CLOSED)
            return False
        return reader.feed(data) or self._go_on(len(data))

    def run(self) -> None:
        """Answer the complete request, or continue with the one that was suspended or paused.

        Afterwards it is READY if the client has sent another request by now: run it again when it
        is its turn. It is SUSPENDED if the application waits on the event loop: run it again when
        its asynchronous exchange is given back. It is FLUSHING if the rest of a response waits for
        the client; run it again when `flush` says so.
        """
        self.state = _RUNNING
        if self.async_exchange is not None:
            self._resume(self.async_exchange)
            return
        if self.paused is not None:
            self._resume_paused(*self.paused)
            return
        server_context, reader = self._server_context, self._reader
        exchange = reader.completed.pop(0)
        # Counted before the response, so that a client that has it finds it counted.
        self.served += 1
        # A fresh context: what a request sets ends with it, on every thread.
        context = Context()
        context.run(exchange.respond, server_context, self)
        if exchange.awaited is not None and not self._await(exchange, context):
            return
        if not exchange.persists or self._write_buffer.size or reader.phase is not _START:
            self._follow(exchange)
        elif reader.completed:
            self._move(_READY)  # it was received behind a body that the application read
        else:
            # PERF: in the common case nothing else was received.
            self.state = _IDLE
            self.idle_since = server_context.now

    def flush(self) -> bool:
        """Send what waits; return whether there is a request, or the rest of one, to `run` then."""
        try:
            sent = self._write_buffer.flush_nowait(self.sock)
        except OSError:
            if self.paused is not None:
                self.abort()
                return True  # to close the body
            self._abandon()
            return False
        if self._transfer_rate is not None:
            self._transfer_rate.advance(sent, self._server_context.now)
        if self._write_buffer.size:
            return False
        self._transfer_rate = None
        if self.paused is not None:
            return True
        if self._end is not None:
            self._finish_with(self._end)
            return False
        return self._advance()

    def begin_on_loop(self) -> bool:
        """Begin, in place of `run`, if the loop alone can answer; return whether it can."""
        ask = self._server_context.begin_on_loop
        reader = self._reader
        completed = reader.completed
        if ask is None or not completed or self.paused is not None:
            return False  # the rest of a response may block
        if type(completed[0].body) is ContinueBody:
            return False  # reading it blocks
        exchange = completed[0]
        try:
            suspended = ask(exchange.environ, exchange.start_response)
        except BaseException as error:  # noqa: BLE001  # answered where the app is called
            self._server_context.warn_of_question("begin_on_loop", error)
            return False
        if suspended is None:
            return False
        completed.pop(0)
        self.state = _RUNNING
        self.served += 1
        exchange.await_answer(self._server_context, self, suspended)
        async_exchange = self.async_exchange = AsyncExchange(exchange, self, Context())
        if not async_exchange.try_finish():
            self._move(ConnectionState.SUSPENDED)
        elif (
            exchange.persists
            and not self._write_buffer.size
            and reader.phase is _START
            and not completed
        ):
            # PERF: the result of `run` in the common case, without its steps.
            self.async_exchange = None
            self.state = _IDLE
            self.idle_since = self._server_context.now
        else:
            self._resume(async_exchange)
        return True

    def awaits_loop_alone(self) -> bool:
        """Return whether it is SUSPENDED, and nothing that it waits for may block."""
        return self.async_exchange is not None and self.async_exchange.is_wholly_async

    def has_begun(self) -> bool:
        """Return whether it has a request that the application has begun and not finished."""
        return self.async_exchange is not None or self.paused is not None

    def can_block(self) -> bool:
        """Return whether `run` may block, after the event loop has given it back."""
        return self.async_exchange is None or not self.async_exchange.has_ended

    def _resume(self, async_exchange: AsyncExchange) -> None:
        """Continue a suspended exchange."""
        if not async_exchange.has_ended:
            async_exchange.resume()
            if not async_exchange.has_ended:
                self._move(ConnectionState.SUSPENDED)
                return
        self.async_exchange = None
        self._go_on_after(async_exchange.exchange, async_exchange.context)

    def _resume_paused(self, exchange: Exchange, context: Context) -> None:
        """Continue a paused exchange."""
        self.paused = None
        context.run(exchange.go_on)
        self._go_on_after(exchange, context)

    def _go_on_after(self, exchange: Exchange, context: Context) -> None:
        """Wait for the client if the rest of *exchange* does; else see what follows it."""
        if exchange.awaited is not None:
            self._pause(exchange, context)
        else:
            self._follow(exchange)

    def _await(self, exchange: Exchange, context: Context) -> bool:
        """Wait for what *exchange* awaits; return whether it has ended."""
        if type(exchange.awaited) is PiecewiseBody:
            self._pause(exchange, context)
            return False
        async_exchange = AsyncExchange(exchange, self, context)
        if async_exchange.try_finish():
            return True
        self.async_exchange = async_exchange
        self._move(ConnectionState.SUSPENDED)
        return False

    def _pause(self, exchange: Exchange, context: Context) -> None:
        """Go on with *exchange* when the client has taken what waits."""
        self.paused = exchange, context
        self._begin_flushing()

    def _follow(self, exchange: Exchange) -> None:
        """Go on after *exchange*: end, send what waits, or see what else was received."""
        if not exchange.persists:
            self._finish_with(self._end or self._end_after(exchange))
        elif self._write_buffer.size:
            self._begin_flushing()
        elif self._advance():
            self.state, self._since = _READY, self._server_context.now  # PERF: `_move` in short

    def _advance(self) -> bool:
        """Return whether the next request is complete; else wait for the rest of it."""
        reader = self._reader
        if reader.advance() or (reader.phase is _BODY and self._begin_before_body()):
            return True
        self._read_on(0)
        return False

    def _go_on(self, count: int) -> bool:
        """Go on after *count* bytes that complete no request; return whether one can be `run`."""
        if self.state is ConnectionState.LINGERING:
            if self._transfer_rate is not None:
                self._transfer_rate.advance(count, self._server_context.now)
            return False
        count = receive_more(self._recv, self._reader, count, self._begin_before_body)
        if not self._reader.completed:
            self._read_on(count)
        return bool(self._reader.completed)

    def _begin_before_body(self) -> bool:
        """Let a request run before its body is received; return whether there is one that may.

        Either the application said that it does not take so large a body: its answer may be 404 or
        413. Or the client waits for ``100 Continue``, and the application decides whether to send
        that by reading the body. A thread then waits for the body, so only a few such requests may
        run. For the others the server sends ``100 Continue`` and receives the body before it runs
        them.
        """
        server_context, reader = self._server_context, self._reader
        has_place = len(server_context.continue_bodies) < server_context.max_continue_bodies
        is_needed = not self._exceeds_app_limit()
        if is_needed and not (reader.wants_continue and has_place):
            return False
        request = reader.take_before_body()
        if request is None:
            return False
        body = ContinueBody(server_context, reader, self, is_needed)
        request.body = request.environ["wsgi.input"] = body
        reader.completed.append(request)
        return True

    def _exceeds_app_limit(self) -> bool:
        """Return whether the body is larger than what the application takes.

        The application is asked once for each request whose body does not stay in memory.
        """
        ask, body = self._server_context.body_limit, self._reader.body
        if ask is None or body is None:
            return False
        buffer, size = body.buffer, body.known_size
        if buffer.app_limit is None:
            if size <= self._server_context.settings.buffered_body:
                return False
            limit = ask(self._reader.environ)
            buffer.app_limit = sys.maxsize if limit is None else limit
        return size > buffer.app_limit

    def _read_on(self, count: int) -> None:
        """Wait for what the reader waits for; *count* bytes were just received."""
        reader = self._reader
        if reader.refusal is not None:
            self._refuse(reader.refusal)
        elif reader.phase is ReadPhase.HEAD:
            self._move(ConnectionState.HEAD)
        elif reader.phase is ReadPhase.BODY:
            self._await_body(count)
        elif reader.phase is ReadPhase.UPGRADE:
            self._move(ConnectionState.UPGRADING)
        else:
            self._move(_IDLE)
            self.idle_since = self._server_context.now

    def _await_body(self, count: int) -> None:
        now = self._server_context.now
        if self._transfer_rate is None or self.state is not ConnectionState.BODY:
            self._transfer_rate = TransferRate(now)
        self._transfer_rate.advance(count, now)
        self._move(ConnectionState.BODY)
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            try:
                self.send(CONTINUE)
            except ClientGoneError:
                self._abandon()
