"""One client: its socket, what it has sent, and what it has yet to take.

Who may call what. A connection belongs to the leader, except while it is RUNNING: then it
belongs to the thread that called `run`. `receive`, `flush`, `expire` and `close` are the
leader's. No method blocks but `run`, and that only in the application or for a slow reader of
a streamed response.
"""

import selectors
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context

from dewar.server.connection.environ import Environ
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.late_body import LateBody
from dewar.server.connection.outbox import PATIENCE, FilePiece, Outbox, is_readable, wait_ready
from dewar.server.connection.progress import Progress
from dewar.server.connection.service import Service
from dewar.server.connection.state import MOVES, State
from dewar.server.errors import ClientGoneError, ServerStateError
from dewar.server.wire.errors import LATE_BODY, TIMEOUT, Refusal
from dewar.server.wire.reader import Phase, RequestReader
from dewar.server.wire.request import Request
from dewar.server.wire.writer import CONTINUE

# One read: as much as a busy client sends at once, and below the size from which malloc maps
# memory anew each time (128 KiB).
_READ = 65536
# Up to here it is cheaper to copy a body behind its head than to have the kernel gather the two.
_COPY = 16384
# How long a client may take to notice that we have shut our side.
_LINGER = 2.0
# SO_LINGER with no time at all: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)
_IDLE, _RUNNING, _FLUSHING = State.IDLE, State.RUNNING, State.FLUSHING
_START = Phase.START


class Connection:
    """A client's connection, from accept to close.

    Attributes:
        sock: The socket, non-blocking.
        fd: Its number, which outlives its closing.
        state: What it is doing.
        armed: What the poller reports of it; the pool keeps it here.
        served: Requests answered or being answered.
    """

    __slots__ = (
        "_end", "_environ", "_outbox", "_progress", "_reader", "_recv", "_seen", "_send",
        "_service", "_since", "armed", "fd", "served", "sock", "state",
    )  # fmt: skip

    def __init__(self, service: Service, sock: socket.socket, environ: Environ) -> None:
        self._service = service
        self._environ = environ
        self.sock = sock
        self.fd = sock.fileno()
        self._recv: Callable[[int], bytes] = sock.recv
        self._send: Callable[[bytes], int] = sock.send
        self._reader = RequestReader(environ, service.names, service.settings.limits, Exchange)
        self._outbox = Outbox()
        self._progress: Progress | None = None
        self._end: State | None = None  # where to go when all is answered; None to read on
        self._seen = 0
        self._since = service.now
        self.state = _IDLE
        self.armed = 0
        self.served = 0

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
        """Answer the requests that are complete, in order, as far as the client takes it."""
        self.state = _RUNNING
        service = self._service
        reader = self._reader
        completed = reader.completed
        while completed or (reader.wants_continue and self._begin_early()):
            exchange = completed.pop(0)
            # Counted now, so that whoever has an answer finds it counted.
            self.served += 1
            # A fresh context: whatever a request sets ends with it, on every thread.
            Context().run(exchange.respond, service, self)
            if not exchange.persists:
                self._finish_with(self._end or self._end_after(exchange))
                return
            if self._outbox.size:
                self._begin_flushing()
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

    def close(self) -> None:
        """Close the socket and let go of everything. Call it once, off the poller."""
        self.state = State.CLOSED
        self._reader.discard()
        self._outbox.clear()
        self.sock.close()

    def break_off(self) -> None:
        """Have it closed, whatever it is doing: its state can't be relied on any more."""
        self.state = State.CLOSED

    def cut(self) -> None:
        """Shut the socket under the thread that runs the connection; it will find out.

        Only while that thread can not be closing it.
        """
        with suppress(OSError):  # the client was quicker
            self.sock.shutdown(socket.SHUT_RDWR)

    # For the exchange, on the thread that runs it.

    def send(self, data: bytes) -> None:
        """Send *data*, or keep for later what does not go out at once."""
        start = 0
        if not self._outbox.size:
            try:
                start = self._send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                raise ClientGoneError(f"The client has gone: {error}") from error
        if start != len(data):
            self._outbox.add(data, start)

    def send_pair(self, head: bytes, body: bytes) -> None:
        """Send *head* and *body* in one system call."""
        if len(body) <= _COPY:
            self.send(head + body)
            return
        self._outbox.add(head)
        self._outbox.add(body)
        self._flush_now()

    @property
    def sends_files(self) -> bool:
        """Whether the kernel can send files by itself: not where what is sent is encrypted."""
        return type(self.sock) is socket.socket

    def send_file(self, head: bytes, piece: FilePiece) -> None:
        """Send *head* and a piece of a file, or keep for later what does not go out at once."""
        self._outbox.add(head)
        self._outbox.add_file(piece)
        self._flush_now()

    def give_up(self) -> None:
        """Have the connection end at once: nobody is there to take what waits."""
        self._end = State.CLOSED
        self._outbox.clear()

    def spoil(self) -> None:
        """Have the connection end with a reset.

        For a body whose only mark is the end of the connection: a normal end would make it whole.
        """
        self._end = State.CLOSED
        with suppress(OSError):  # the client was quicker
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def send_waiting(self, data: bytes) -> None:
        """Send *data*; block while more than the high-water mark waits."""
        self.send(data)
        high_water = self._service.settings.high_water
        if self._outbox.size <= high_water:
            return
        clock = self._service.clock
        progress = Progress(clock())
        while self._outbox.size > high_water:
            wait_ready(self.sock, selectors.EVENT_WRITE, PATIENCE)
            now = clock()
            progress.advance(self._flush_now(), now)
            if self._outbox.size and self._is_overdue(progress, now):
                raise ClientGoneError("The client does not read what it asked for.")

    # Below: how it goes on.

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

    def _flush_now(self) -> int:
        try:
            return self._outbox.flush_nowait(self.sock)
        except OSError as error:
            raise ClientGoneError(f"The client has gone: {error}") from error

    def _move(self, state: State) -> None:
        if state is self.state:
            return
        if state not in MOVES[self.state]:
            raise ServerStateError(f"{self!r} can not become {state.name}.")
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

    def _is_overdue(self, progress: Progress, now: float) -> bool:
        settings = self._service.settings
        return progress.is_overdue(now, settings.write_timeout, settings.min_rate)
