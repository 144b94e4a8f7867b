"""One client: its socket, what it has sent, and what it has yet to take.

Who may call what. A connection belongs to the leader, except while it is RUNNING: then it
belongs to the thread that called `run`; and while it is SUSPENDED: then to the event loop's,
until that has given it back. `receive`, `flush`, `expire` and `close` are the leader's. No method
blocks but `run`, and that only in the application or for a slow reader of a streamed response.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context

from dewar.server.connection.async_exchange import AsyncExchange
from dewar.server.connection.continue_body import ContinueBody
from dewar.server.connection.environ import Environ
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import TRANSITIONS, ConnectionState
from dewar.server.connection.transfer_rate import TransferRate
from dewar.server.connection.transport import Transport
from dewar.server.connection.write_buffer import has_peer_closed, is_readable
from dewar.server.errors import ClientGoneError, Refusal, ServerStateError
from dewar.server.wire.errors import BODY_TIMEOUT, TIMEOUT
from dewar.server.wire.reader import ReadPhase, RequestReader
from dewar.server.wire.request import WireRequest
from dewar.server.wire.writer import CONTINUE

# One read: as much as a busy client sends at once, and below the size from which malloc maps
# memory anew each time (128 KiB).
_READ = 65536
# How long a client may take to notice that we have shut our side.
_LINGER = 2.0
_IDLE, _RUNNING, _FLUSHING = ConnectionState.IDLE, ConnectionState.RUNNING, ConnectionState.FLUSHING
_START = ReadPhase.START


class Connection(Transport):
    """A client's connection, from accept to close.

    Attributes:
        state: What it is doing.
        interest: What the poller reports of it; the pool keeps it here.
        served: Requests answered or being answered.
        async_exchange: The exchange that waits on the event loop, if one does.
    """

    __slots__ = (
        "_environ", "_reader", "_recv", "_seen", "_since", "_transfer_rate", "async_exchange",
        "interest", "served", "state",
    )  # fmt: skip

    def __init__(
        self, server_context: ServerContext, sock: socket.socket, environ: Environ
    ) -> None:
        super().__init__(server_context, sock)
        self._environ = environ
        self._recv: Callable[[int], bytes] = sock.recv
        self._reader = RequestReader(
            environ, server_context.names, server_context.settings.limits, Exchange
        )
        self._transfer_rate: TransferRate | None = None
        self._seen = 0
        self._since = server_context.now
        self.state = _IDLE
        self.interest = 0
        self.served = 0
        self.async_exchange: AsyncExchange | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.fd} {self.state.name}, {self.served} served>"

    def receive(self) -> bool:
        """Take in what has come; return whether there is a request to `run`."""
        try:
            data = self._recv(_READ)
        except BlockingIOError:
            return False  # a stale event, or none of ours
        except OSError:
            data = b""  # reset by the client: the same as its end, to us
        if not data:
            self._move(ConnectionState.CLOSED)
            return False
        reader = self._reader
        reader.feed(data)
        if reader.completed:
            return True
        if self.state is ConnectionState.LINGERING:
            return False
        if reader.wants_continue and self._begin_before_body():
            return True
        self._read_on(len(data))
        return False

    def run(self) -> None:
        """Answer the requests that are complete, in order, as far as the client takes it.

        It is SUSPENDED afterwards where the application waits on the event loop; run it again
        when its asynchronous exchange is given back.
        """
        self.state = _RUNNING
        if self.async_exchange is not None and not self._resume(self.async_exchange):
            return
        server_context = self._server_context
        reader = self._reader
        completed = reader.completed
        while completed or (reader.wants_continue and self._begin_before_body()):
            exchange = completed.pop(0)
            # Counted now, so that whoever has an answer finds it counted.
            self.served += 1
            # A fresh context: whatever a request sets ends with it, on every thread.
            context = Context()
            context.run(exchange.respond, server_context, self)
            if exchange.awaited is not None:
                async_exchange = AsyncExchange(exchange, self, context)
                if not async_exchange.try_finish():
                    self.async_exchange = async_exchange
                    self._move(ConnectionState.SUSPENDED)
                    return
            if not exchange.persists or self._write_buffer.size:
                self._follow(exchange)
                return
        # PERF: the common case is that nothing else has come.
        if reader.phase is _START:
            self.state = _IDLE
        else:
            self._read_on(0)

    def flush(self) -> bool:
        """Send what waits; return whether there is a request to `run` then."""
        try:
            sent = self._write_buffer.flush_nowait(self.sock)
        except OSError:
            self._abandon()
            return False
        if self._transfer_rate is not None:
            self._transfer_rate.advance(sent, self._server_context.now)
        if self._write_buffer.size:
            return False
        self._transfer_rate = None
        if self._end is not None:
            self._finish_with(self._end)
            return False
        if self._reader.completed:
            return True
        self._read_on(0)
        return False

    def reject(self, refusal: Refusal) -> None:
        """Answer with *refusal* alone, whatever has come or not."""
        completed = self._reader.completed
        self._refuse(refusal, completed[0] if completed else None)

    def expire(self, now: float) -> None:
        """Give up on the client where it is past its deadline."""
        settings = self._server_context.settings
        state = self.state
        if state is _IDLE:
            self._expire_idle(now)
        elif state is ConnectionState.HEAD:
            if now - self._since > settings.header_timeout:
                self._refuse(Refusal(TIMEOUT, "The head of the request did not come in time."))
        elif state is ConnectionState.BODY:
            transfer_rate = self._transfer_rate
            if transfer_rate and transfer_rate.is_overdue(
                now, settings.body_timeout, settings.min_rate
            ):
                self._refuse(BODY_TIMEOUT)
        elif state is _FLUSHING:
            if self._transfer_rate is not None and self._is_overdue(self._transfer_rate, now):
                self._abandon()
        elif state is ConnectionState.LINGERING and now - self._since > _LINGER:
            self._move(ConnectionState.CLOSED)

    def close_if_idle(self, now: float, grace: float) -> None:
        """End the connection if it is idle, because the server stops.

        One that has not had a request yet is given *grace* seconds from its accept: its client
        may have been told a moment ago that we listen. One on which a request has come by now is
        left alone.
        """
        old_enough = self.served or now - self._since > grace
        if self.state is _IDLE and old_enough and not is_readable(self.sock):
            self._move(ConnectionState.CLOSED)

    def begin_on_loop(self) -> bool:
        """Begin with the complete request if the loop alone can answer it; return whether it can.

        In place of `run`. It does not block.
        """
        ask = self._server_context.maybe_on_loop
        reader = self._reader
        completed = reader.completed
        if ask is None or len(completed) != 1 or reader.wants_continue:
            return False  # what comes behind it may block
        if type(completed[0].body) is ContinueBody:
            return False
        exchange = completed[0]
        suspended = ask(exchange.environ, exchange.start_response)
        if suspended is None:
            return False
        completed.clear()
        self.state = _RUNNING
        self.served += 1
        exchange.await_answer(self._server_context, self, suspended)
        async_exchange = self.async_exchange = AsyncExchange(exchange, self, Context())
        if not async_exchange.try_finish():
            self._move(ConnectionState.SUSPENDED)
        elif exchange.persists and not self._write_buffer.size and reader.phase is _START:
            # PERF: what `run` comes to in the common case, without its steps.
            self.async_exchange = None
            self.state = _IDLE
        else:
            self.run()
        return True

    def awaits_loop_alone(self) -> bool:
        """Return whether it is SUSPENDED, and nothing in what it waits for may block."""
        return self.async_exchange is not None and self.async_exchange.is_wholly_async

    def has_more(self) -> bool:
        """Return whether there is something to `run`, after the event loop has given it back."""
        async_exchange = self.async_exchange
        if async_exchange is None or not async_exchange.has_ended:
            return True
        exchange = async_exchange.exchange
        if not exchange.persists or self._write_buffer.size:
            return False
        return bool(self._reader.completed) or self._reader.wants_continue

    def has_peer_closed(self) -> bool:
        """Return whether the client has closed its side. For a connection that is SUSPENDED."""
        return has_peer_closed(self.sock)

    def close(self) -> None:
        """Close the socket and let go of everything. Call it once, off the poller."""
        self.state = ConnectionState.CLOSED
        self._reader.discard()
        self._write_buffer.clear()
        self.sock.close()

    def mark_broken(self) -> None:
        """Have it closed, whatever it is doing: its state cannot be relied on any more."""
        self.state = ConnectionState.CLOSED

    def shut_down_socket(self) -> None:
        """Shut the socket under the thread that runs the connection; it will find out.

        Only while that thread cannot be closing it.
        """
        with suppress(OSError):  # the client was quicker
            self.sock.shutdown(socket.SHUT_RDWR)

    # Below: how it goes on.

    def _resume(self, async_exchange: AsyncExchange) -> bool:
        """Go on with what was suspended; return whether requests can be run then."""
        if not async_exchange.has_ended:
            async_exchange.resume()
            if not async_exchange.has_ended:
                self._move(ConnectionState.SUSPENDED)
                return False
        self.async_exchange = None
        if async_exchange.exchange.persists and not self._write_buffer.size:
            return True
        self._follow(async_exchange.exchange)
        return False

    def _follow(self, exchange: Exchange) -> None:
        """Go on after an exchange that leaves something to send, or is the last."""
        if exchange.persists:
            self._begin_flushing()
        else:
            self._finish_with(self._end or self._end_after(exchange))

    def _begin_before_body(self) -> bool:
        """Let a request run before its body has come; tell whether there is one that may.

        The client waits for ``100 Continue``, and the application is to decide whether it gets
        one. Waiting for a body costs a thread then, so only some may; for the others the server
        decides itself, and waits for the body before it runs them.
        """
        server_context = self._server_context
        if len(server_context.continue_bodies) >= server_context.max_continue_bodies:
            return False
        request = self._reader.take_before_body()
        if request is None:
            return False
        request.body = request.environ["wsgi.input"] = ContinueBody(
            server_context, self._reader, self
        )
        self._reader.completed.append(request)
        return True

    def _end_after(self, request: WireRequest) -> ConnectionState:
        """Return how to close after *request*: at once only where nothing more can come."""
        is_last = not request.keep_alive and self._reader.phase is not ReadPhase.BODY
        return ConnectionState.CLOSED if is_last else ConnectionState.LINGERING

    def _move(self, state: ConnectionState) -> None:
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise ServerStateError(f"{self!r} cannot become {state.name}.")
        self.state = state
        self._since = self._server_context.now

    def _read_on(self, count: int) -> None:
        """Wait for what the reader waits for; *count* bytes have just come."""
        reader = self._reader
        if reader.refusal is not None:
            self._refuse(reader.refusal)
        elif reader.phase is ReadPhase.HEAD:
            self._move(ConnectionState.HEAD)
        elif reader.phase is ReadPhase.BODY:
            self._await_body(count)
        else:
            self._move(_IDLE)

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

    def _begin_flushing(self) -> None:
        self._transfer_rate = TransferRate(self._server_context.now)
        self._move(_FLUSHING)

    def _finish_with(self, end: ConnectionState) -> None:
        """Go to *end*, CLOSED or LINGERING, once all that was written is sent."""
        self._end = end
        self._reader.discard()
        if self._write_buffer.size:
            self._begin_flushing()
            return
        if end is ConnectionState.LINGERING:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                end = ConnectionState.CLOSED  # the client was quicker
        self._move(end)

    def log_refusal(self, refusal: Refusal, request: WireRequest | None = None) -> None:
        """Have it in the access log."""
        if self._server_context.logs_access:
            self._server_context.access_log.log_refusal(self._environ, refusal, request)

    def _refuse(self, refusal: Refusal, request: WireRequest | None = None) -> None:
        self.log_refusal(refusal, request)
        try:
            self.send(self._server_context.writer.refuse(refusal))
        except ClientGoneError:
            self._abandon()
        else:
            self._finish_with(ConnectionState.LINGERING)

    def _abandon(self) -> None:
        self._write_buffer.clear()
        self._move(ConnectionState.CLOSED)

    def _expire_idle(self, now: float) -> None:
        # PERF: a request leaves no time behind. Idleness counts from the first look that finds
        # no new request, which is at most one look, a second, late.
        settings = self._server_context.settings
        if self.served != self._seen:
            self._seen = self.served
            self._since = now
        elif now - self._since > (settings.keep_alive if self.served else settings.header_timeout):
            self._move(ConnectionState.CLOSED)
