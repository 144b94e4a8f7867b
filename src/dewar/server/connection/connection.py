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

from dewar.server.connection.environ import Environ
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.late_body import LateBody
from dewar.server.connection.outbox import has_ended, is_readable
from dewar.server.connection.outlet import Outlet
from dewar.server.connection.progress import Progress
from dewar.server.connection.service import Service
from dewar.server.connection.state import MOVES, State
from dewar.server.connection.suspension import Suspension
from dewar.server.errors import ClientGoneError, ServerStateError
from dewar.server.wire.errors import LATE_BODY, TIMEOUT, Refusal
from dewar.server.wire.reader import Phase, RequestReader
from dewar.server.wire.request import Request
from dewar.server.wire.writer import CONTINUE

# One read: as much as a busy client sends at once, and below the size from which malloc maps
# memory anew each time (128 KiB).
_READ = 65536
# How long a client may take to notice that we have shut our side.
_LINGER = 2.0
_IDLE, _RUNNING, _FLUSHING = State.IDLE, State.RUNNING, State.FLUSHING
_START = Phase.START


class Connection(Outlet):
    """A client's connection, from accept to close.

    Attributes:
        state: What it is doing.
        armed: What the poller reports of it; the pool keeps it here.
        served: Requests answered or being answered.
        suspension: The exchange that waits on the event loop, if one does.
    """

    __slots__ = (
        "_environ", "_progress", "_reader", "_recv", "_seen", "_since", "armed", "served",
        "state", "suspension",
    )  # fmt: skip

    def __init__(self, service: Service, sock: socket.socket, environ: Environ) -> None:
        super().__init__(service, sock)
        self._environ = environ
        self._recv: Callable[[int], bytes] = sock.recv
        self._reader = RequestReader(environ, service.names, service.settings.limits, Exchange)
        self._progress: Progress | None = None
        self._seen = 0
        self._since = service.now
        self.state = _IDLE
        self.armed = 0
        self.served = 0
        self.suspension: Suspension | None = None

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
            self._move(State.CLOSED)
            return False
        reader = self._reader
        reader.feed(data)
        if reader.completed:
            return True
        if self.state is State.LINGERING:
            return False
        if reader.wants_continue and self._begin_early():
            return True
        self._read_on(len(data))
        return False

    def run(self) -> None:
        """Answer the requests that are complete, in order, as far as the client takes it.

        It is SUSPENDED afterwards where the application waits on the event loop; run it again
        when its suspension is given back.
        """
        self.state = _RUNNING
        if self.suspension is not None and not self._resume(self.suspension):
            return
        service = self._service
        reader = self._reader
        completed = reader.completed
        while completed or (reader.wants_continue and self._begin_early()):
            exchange = completed.pop(0)
            # Counted now, so that whoever has an answer finds it counted.
            self.served += 1
            # A fresh context: whatever a request sets ends with it, on every thread.
            context = Context()
            context.run(exchange.respond, service, self)
            if exchange.awaited is not None:
                suspension = Suspension(exchange, self, context)
                if not suspension.try_finish():
                    self.suspension = suspension
                    self._move(State.SUSPENDED)
                    return
            if not exchange.persists or self._outbox.size:
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
            sent = self._outbox.flush_nowait(self.sock)
        except OSError:
            self._abandon()
            return False
        if self._progress is not None:
            self._progress.advance(sent, self._service.now)
        if self._outbox.size:
            return False
        self._progress = None
        if self._end is not None:
            self._finish_with(self._end)
            return False
        if self._reader.completed:
            return True
        self._read_on(0)
        return False

    def turn_away(self, refusal: Refusal) -> None:
        """Answer with *refusal* alone, whatever has come or not."""
        completed = self._reader.completed
        self._refuse(refusal, completed[0] if completed else None)

    def expire(self, now: float) -> None:
        """Give up on the client where it is past its deadline."""
        settings = self._service.settings
        state = self.state
        if state is _IDLE:
            self._expire_idle(now)
        elif state is State.HEAD:
            if now - self._since > settings.header_timeout:
                self._refuse(Refusal(TIMEOUT, "The head of the request did not come in time."))
        elif state is State.BODY:
            progress = self._progress
            if progress and progress.is_overdue(now, settings.body_timeout, settings.min_rate):
                self._refuse(LATE_BODY)
        elif state is _FLUSHING:
            if self._progress is not None and self._is_overdue(self._progress, now):
                self._abandon()
        elif state is State.LINGERING and now - self._since > _LINGER:
            self._move(State.CLOSED)

    def drain(self, now: float, grace: float) -> None:
        """End the connection if it is idle, because the server stops.

        One that has not had a request yet is given *grace* seconds from its accept: its client
        may have been told a moment ago that we listen. One on which a request has come by now is
        left alone.
        """
        old_enough = self.served or now - self._since > grace
        if self.state is _IDLE and old_enough and not is_readable(self.sock):
            self._move(State.CLOSED)

    def begin_on_loop(self) -> bool:
        """Begin with the complete request if the loop alone can answer it; return whether it can.

        In place of `run`. It does not block.
        """
        ask = self._service.maybe_on_loop
        reader = self._reader
        completed = reader.completed
        if ask is None or len(completed) != 1 or reader.wants_continue:
            return False  # what comes behind it may block
        if type(completed[0].body) is LateBody:
            return False
        exchange = completed[0]
        suspended = ask(exchange.environ, exchange.start_response)
        if suspended is None:
            return False
        completed.clear()
        self.state = _RUNNING
        self.served += 1
        exchange.await_answer(self._service, self, suspended)
        suspension = self.suspension = Suspension(exchange, self, Context())
        if not suspension.try_finish():
            self._move(State.SUSPENDED)
        elif exchange.persists and not self._outbox.size and reader.phase is _START:
            # PERF: what `run` comes to in the common case, without its steps.
            self.suspension = None
            self.state = _IDLE
        else:
            self.run()
        return True

    def awaits_loop_alone(self) -> bool:
        """Return whether it is SUSPENDED, and nothing in what it waits for may block."""
        return self.suspension is not None and self.suspension.is_wholly_async

    def has_more(self) -> bool:
        """Return whether there is something to `run`, after the event loop has given it back."""
        suspension = self.suspension
        if suspension is None or not suspension.has_ended:
            return True
        exchange = suspension.exchange
        if not exchange.persists or self._outbox.size:
            return False
        return bool(self._reader.completed) or self._reader.wants_continue

    def is_deserted(self) -> bool:
        """Return whether the client has closed its side. For a connection that is SUSPENDED."""
        return has_ended(self.sock)

    def close(self) -> None:
        """Close the socket and let go of everything. Call it once, off the poller."""
        self.state = State.CLOSED
        self._reader.discard()
        self._outbox.clear()
        self.sock.close()

    def break_off(self) -> None:
        """Have it closed, whatever it is doing: its state cannot be relied on any more."""
        self.state = State.CLOSED

    def cut(self) -> None:
        """Shut the socket under the thread that runs the connection; it will find out.

        Only while that thread cannot be closing it.
        """
        with suppress(OSError):  # the client was quicker
            self.sock.shutdown(socket.SHUT_RDWR)

    # Below: how it goes on.

    def _resume(self, suspension: Suspension) -> bool:
        """Go on with what was suspended; return whether requests can be run then."""
        if not suspension.has_ended:
            suspension.resume()
            if not suspension.has_ended:
                self._move(State.SUSPENDED)
                return False
        self.suspension = None
        if suspension.exchange.persists and not self._outbox.size:
            return True
        self._follow(suspension.exchange)
        return False

    def _follow(self, exchange: Exchange) -> None:
        """Go on after an exchange that leaves something to send, or is the last."""
        if exchange.persists:
            self._begin_flushing()
        else:
            self._finish_with(self._end or self._end_after(exchange))

    def _begin_early(self) -> bool:
        """Let a request run before its body has come; tell whether there is one that may.

        The client waits for ``100 Continue``, and the application is to decide whether it gets
        one. Waiting for a body costs a thread then, so only some may; for the others the server
        decides itself, and waits for the body before it runs them.
        """
        service = self._service
        if len(service.early) >= service.most_early:
            return False
        request = self._reader.take_early()
        if request is None:
            return False
        request.body = request.environ["wsgi.input"] = LateBody(service, self._reader, self)
        self._reader.completed.append(request)
        return True

    def _end_after(self, request: Request) -> State:
        """Return how to close after *request*: at once only where nothing more can come."""
        is_last = not request.keep_alive and self._reader.phase is not Phase.BODY
        return State.CLOSED if is_last else State.LINGERING

    def _move(self, state: State) -> None:
        if state is self.state:
            return
        if state not in MOVES[self.state]:
            raise ServerStateError(f"{self!r} cannot become {state.name}.")
        self.state = state
        self._since = self._service.now

    def _read_on(self, count: int) -> None:
        """Wait for what the reader waits for; *count* bytes have just come."""
        reader = self._reader
        if reader.refusal is not None:
            self._refuse(reader.refusal)
        elif reader.phase is Phase.HEAD:
            self._move(State.HEAD)
        elif reader.phase is Phase.BODY:
            self._await_body(count)
        else:
            self._move(_IDLE)

    def _await_body(self, count: int) -> None:
        now = self._service.now
        if self._progress is None or self.state is not State.BODY:
            self._progress = Progress(now)
        self._progress.advance(count, now)
        self._move(State.BODY)
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            try:
                self.send(CONTINUE)
            except ClientGoneError:
                self._abandon()

    def _begin_flushing(self) -> None:
        self._progress = Progress(self._service.now)
        self._move(_FLUSHING)

    def _finish_with(self, end: State) -> None:
        """Go to *end*, CLOSED or LINGERING, once all that was written is sent."""
        self._end = end
        self._reader.discard()
        if self._outbox.size:
            self._begin_flushing()
            return
        if end is State.LINGERING:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                end = State.CLOSED  # the client was quicker
        self._move(end)

    def log_refusal(self, refusal: Refusal, request: Request | None = None) -> None:
        """Have it in the access log."""
        if self._service.logs_access:
            self._service.access_log.log_refusal(self._environ, refusal, request)

    def _refuse(self, refusal: Refusal, request: Request | None = None) -> None:
        self.log_refusal(refusal, request)
        try:
            self.send(self._service.writer.refuse(refusal))
        except ClientGoneError:
            self._abandon()
        else:
            self._finish_with(State.LINGERING)

    def _abandon(self) -> None:
        self._outbox.clear()
        self._move(State.CLOSED)

    def _expire_idle(self, now: float) -> None:
        # PERF: a request leaves no time behind. Idleness counts from the first look that finds
        # no new request, which is at most one look, a second, late.
        settings = self._service.settings
        if self.served != self._seen:
            self._seen = self.served
            self._since = now
        elif now - self._since > (settings.keep_alive if self.served else settings.header_timeout):
            self._move(State.CLOSED)
