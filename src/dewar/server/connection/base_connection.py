"""The state of a connection, its deadlines, and its end; `Connection` adds the requests."""

import socket
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context

from dewar.server.connection.exchange import Exchange
from dewar.server.connection.readiness import has_peer_closed, is_readable
from dewar.server.connection.refusal_warning import warn_of_refusal
from dewar.server.connection.server_context import ServerContext
from dewar.server.connection.state import TRANSITIONS, ConnectionState
from dewar.server.connection.transport import TransferRate, Transport
from dewar.server.connection.upgrade import Upgrade
from dewar.server.connection.upgrade_exchange import UpgradeExchange
from dewar.server.errors import ClientGoneError, Refusal, ServerStateError
from dewar.server.wire.errors import BODY_TIMEOUT, TIMEOUT
from dewar.server.wire.read_phase import ReadPhase
from dewar.server.wire.reader import RequestReader
from dewar.server.wire.request import Environ, WireRequest, maybe_request

# How long a client gets to notice that the server has shut its side, in seconds: without sending,
# and in all. One that is still sending a large body may read the answer only afterwards (nginx
# lingering_timeout 5, lingering_time 30).
_LINGER, _LONGEST_LINGER = 2.0, 30.0
_IDLE, _FLUSHING = ConnectionState.IDLE, ConnectionState.FLUSHING


class BaseConnection(Transport):
    """A client's connection without its requests; only the leader calls `expire` and `close`.

    Attributes:
        state: What it is doing.
        served: Requests answered or being answered.
        idle_since: When it was last idle again, by the leader's clock.
        paused: An exchange and its context, if it goes on when the client has taken what waits.
        upgrade: The offer to the last request that could leave HTTP, if there was one.
    """

    __slots__ = (
        "_environ", "_reader", "_seen", "_since", "_transfer_rate", "idle_since", "paused",
        "served", "state", "upgrade",
    )  # fmt: skip

    def __init__(
        self, server_context: ServerContext, sock: socket.socket, environ: Environ
    ) -> None:
        super().__init__(server_context, sock)
        self._environ = environ
        self._reader = RequestReader(
            environ,
            server_context.names,
            server_context.settings.limits,
            Exchange,
            server_context.body_storage,
        )
        self._transfer_rate: TransferRate | None = None
        self._seen = 0
        self._since = self.idle_since = server_context.now
        self.state = _IDLE
        self.served = 0
        self.paused: tuple[Exchange, Context] | None = None
        self.upgrade: Upgrade | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.fd} {self.state.name}, {self.served} served>"

    @property
    def since(self) -> float:
        """When its state began, by the server's clock."""
        return self._since

    def expire(self, now: float) -> None:
        """Close the connection, or refuse its request, if the client has missed its deadline."""
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
                self._give_up()
        elif state is ConnectionState.READY or state is ConnectionState.UPGRADING:
            self._expire_ready(now)
        elif state is ConnectionState.LINGERING and self._has_lingered(now):
            self._move(ConnectionState.CLOSED)

    def offer_upgrade(self, note_taken: Callable[[], object]) -> None:
        """Complete the request for another protocol, so that it can be run. It is UPGRADING.

        Args:
            note_taken: Called when the application takes the connection out of HTTP; any thread.
        """
        has_loop = self._server_context.suspends
        self.upgrade = Upgrade(self, self._leave_http, note_taken, has_loop)
        request = self._reader.take_upgrade()
        self._server_context.shared_values.replace_in(request.environ)
        self._reader.completed.append(UpgradeExchange(request.environ, self.upgrade))

    def has_early_bytes(self) -> bool:
        """Return whether something was received behind the request that is being answered."""
        return bool(self._reader.held())

    def _leave_http(self) -> bytes:
        """Release what HTTP needed; return what was received behind the request."""
        reader, self._reader = self._reader, self._server_context.ended_reader
        self._environ = self._server_context.base_environ
        rest = reader.held()
        reader.discard()
        return rest

    def close_if_idle(self, now: float, grace: float) -> None:
        """End the connection if it is idle: the server stops, or a new client needs its place.

        A connection without a request so far gets *grace* seconds from its accept, because its
        client may just have learned that the server listens. A connection that has received a
        request by now stays open.
        """
        old_enough = self.served or now - self._since >= grace
        if self.state is _IDLE and old_enough and not is_readable(self.sock):
            self._move(ConnectionState.CLOSED)

    def reject(self, refusal: Refusal) -> None:
        """Send *refusal* and close, whatever was received: the server has too much to do."""
        completed = self._reader.completed
        self._refuse(refusal, completed[0] if completed else None)
        if self.state is ConnectionState.LINGERING:
            self._transfer_rate = None  # others need its place

    def log_refusal(self, refusal: Refusal, request: WireRequest | None = None) -> None:
        """Write *refusal* to the access log; if the client is not to blame, to the server's too."""
        server_context = self._server_context
        if server_context.logs_access:
            server_context.access_log.log_refusal(self._environ, refusal, request)
        warn_of_refusal(server_context.bounded_log, refusal, self._environ, request)

    def has_peer_closed(self) -> bool:
        """Return whether the client has closed its side. For a connection that is SUSPENDED."""
        return has_peer_closed(self.sock)

    def close(self) -> None:
        """Close the socket and release everything. Call it once, after unregistering the socket."""
        self.state = ConnectionState.CLOSED
        self._reader.discard()
        self._write_buffer.clear()
        if self.upgrade is not None and self.is_plain:
            self.shut_down_socket()  # a thread may still wait on a duplicate
        self.sock.close()

    def mark_broken(self) -> None:
        """Have the connection closed in any state: after an error its state is unreliable."""
        self.state = ConnectionState.CLOSED

    def shut_down_socket(self) -> None:
        """Shut down the socket while another thread runs the connection; its next use fails.

        Only while that thread cannot be closing it.
        """
        with suppress(OSError):  # the client has disconnected
            self.sock.shutdown(socket.SHUT_RDWR)

    def _move(self, state: ConnectionState) -> None:
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise ServerStateError(f"{self!r} cannot become {state.name}.")
        self.state = state
        self._since = self._server_context.now

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
            self._transfer_rate = TransferRate(self._server_context.now)
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                end = ConnectionState.CLOSED  # the client has disconnected
        self._move(end)

    def _has_lingered(self, now: float) -> bool:
        transfer_rate, lingered = self._transfer_rate, now - self._since
        if transfer_rate is None:
            return lingered > _LINGER
        min_rate = self._server_context.settings.min_rate
        return lingered > _LONGEST_LINGER or transfer_rate.is_overdue(now, _LINGER, min_rate)

    def _end_after(self, request: WireRequest) -> ConnectionState:
        """Return how to close after *request*: at once only if the client can send nothing more."""
        is_last = not request.keep_alive and self._reader.phase is not ReadPhase.BODY
        return ConnectionState.CLOSED if is_last else ConnectionState.LINGERING

    def _refuse(self, refusal: Refusal, request: WireRequest | None = None) -> None:
        self.log_refusal(refusal, request or maybe_request(self._reader.environ))
        try:
            self.send(self._server_context.writer.refuse(refusal))
        except ClientGoneError:
            self._abandon()
        else:
            self._finish_with(ConnectionState.LINGERING)

    def _give_up(self) -> None:
        """Abandon a client that takes nothing. The body of a paused exchange has to be closed.

        That may block, so it is for a thread: the poller reports the connection, and then it is
        run.
        """
        if self.paused is None:
            self._abandon()
        else:
            self.shut_down_socket()

    def _abandon(self) -> None:
        self._write_buffer.clear()
        self._move(ConnectionState.CLOSED)

    def _expire_ready(self, now: float) -> None:
        # Its turn comes as soon as the socket takes a response.
        if now - self._since > self._server_context.settings.write_timeout:
            self._abandon()

    def _expire_idle(self, now: float) -> None:
        # PERF: a request records no time. Idleness counts from the first look that finds no new
        # request, which is at most one look, a second, late.
        settings = self._server_context.settings
        if self.served != self._seen:
            self._seen = self.served
            self._since = now
        elif now - self._since > (settings.keep_alive if self.served else settings.header_timeout):
            self._move(ConnectionState.CLOSED)
