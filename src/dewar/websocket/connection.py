"""`WebSocketConnection`: one WebSocket on a transport of asyncio, for the server's side.

All of it runs on the thread of the event loop. It has no task: what comes is handled where it is
read, and times are timers of the loop.

What it keeps is bounded. What the client sends waits in the queue up to the high-water mark, and
then one read that is not looked at, while the transport reads no more. What the program sends waits
in the transport up to its mark, and one message more. A pong that the client does not take is
replaced by the next one (RFC 6455, section 5.5.3).
"""

import asyncio
from collections.abc import Callable
from math import ceil, inf

from dewar.websocket.close_notice import CloseNotice
from dewar.websocket.deflate import Deflate
from dewar.websocket.errors import WebSocketClosedError, WebSocketLoopError, WebSocketTypeError
from dewar.websocket.frame_protocol import End, FrameProtocol, Ping
from dewar.websocket.keepalive import Due, Keepalive
from dewar.websocket.receive_queue import ReceiveQueue
from dewar.websocket.send_order import SendOrder
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.state import WebSocketState

CONNECTING, OPEN, CLOSING, CLOSED = WebSocketState
# Timers of many sockets fall together, so that the loop wakes up less often: this often a second.
_TIMER_GRID = 4.0
# How much is handled before other connections have their turn, in bytes of messages; and what a
# frame counts for, besides. A read of pings takes a quarter of a second, one of bombs much longer.
_TURN, _FRAME = 2**16, 2**8
_BURST = 2**20  # the same for what is sent, which takes less time


class WebSocketConnection(asyncio.Protocol):
    """The connection of one WebSocket.

    Args:
        settings: The limits and times.
        deflate: The compression that was agreed on, if any.
        notice: Learns that the WebSocket is closed.

    Attributes:
        queue: The messages that were received.
        state: How far the WebSocket has come.
        close_code: The code of the first close frame, sent or received; 1005 if it has none, 1006
            if there was no frame, None while the WebSocket is open.
        close_reason: Its reason.
    """

    __slots__ = (
        "_burst", "_closed", "_frames", "_has_ended", "_keepalive", "_late_pong", "_loop",
        "_notice", "_order", "_settings", "_timer", "_transport", "_unread", "_unsent",
        "close_code", "close_reason", "queue", "state",
    )  # fmt: skip

    def __init__(
        self, settings: WebSocketSettings, deflate: Deflate | None, notice: CloseNotice
    ) -> None:
        self._settings = settings
        self._notice = notice
        self._loop = asyncio.get_running_loop()
        self._frames = FrameProtocol(settings.max_message_size, deflate)
        self._has_ended = False  # what comes is not looked at any more
        self._order = SendOrder()
        self._burst = 0  # what was sent since others had their turn
        self._keepalive = Keepalive(settings, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._unread = b""  # what was read and waits until there is room in the queue
        self._unsent = 0  # what the transport had to send at the last ping, if it was too much
        self._late_pong = b""
        self._closed: asyncio.Future[None] | None = None
        self.queue = ReceiveQueue(self._loop, settings.receive_high_water, self._go_on_soon)
        self.state = CONNECTING
        self.close_code: int | None = None
        self.close_reason = ""

    def __repr__(self) -> str:
        return f"<WebSocketConnection {self.state.name.lower()}, {self.queue!r}>"

    def open(self, transport: asyncio.Transport, head: bytes) -> None:
        """Answer the handshake; messages can be sent and received now.

        Args:
            transport: The connection to the client.
            head: The head of the response.
        """
        self._transport = transport
        if self.state is CLOSED:
            return  # the client has left meanwhile
        transport.set_write_buffer_limits(high=self._settings.send_high_water)
        transport.write(head)
        self.state = OPEN
        self._set_timer(self._keepalive.next_at(), self._keep_alive)
        if self._unread:
            self._go_on_soon()

    # What the program does.

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message; wait first, while the client does not take what was sent before.

        Raises:
            WebSocketClosedError: If the WebSocket is closed.
            WebSocketLoopError: On another event loop.
            WebSocketTypeError: If the message is neither str nor bytes.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise WebSocketLoopError("send()")
        if self._transport.is_closing():
            await asyncio.sleep(0)  # the connection is lost, and this learns of it in a moment
        if self._order.must_wait:
            await self._order.wait()
        try:
            if self.state is not OPEN:
                raise WebSocketClosedError(self.close_code or 1006, self.close_reason)
            frame = self._frame(message)
            self._transport.write(frame)
        finally:
            self._order.pass_on()
        if self._keepalive.counts_idle:
            self._keepalive.active_at = self._loop.time()
        self._burst += _FRAME + len(frame)
        if self._burst >= _BURST:
            # A program that only sends would keep the loop to itself while the client takes it all.
            self._burst = 0
            await asyncio.sleep(0)

    def close_soon(self, code: int, reason: str) -> None:
        """Send a close frame, unless one was sent, and cut the connection after the timeout."""
        if self.state is OPEN:
            self._end(code, reason, self._frames.close(code, reason))
            if self._unread:
                self._go_on_soon()  # the client's close frame may be in it

    def go_away(self) -> None:
        """Close with code 1001, because the server stops."""
        self.close_soon(1001, "")

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is closed. After a close frame that is within the timeout."""
        if self.state is CLOSED:
            return
        if self._closed is None:
            self._closed = self._loop.create_future()
        await asyncio.shield(self._closed)

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Handle the frames in what was read."""
        self._keepalive.was_heard = True
        if self._has_ended:
            return
        if self._unread or self.state is CONNECTING:
            self._unread += data
        else:
            self._read(data)

    def pause_writing(self) -> None:
        """Let senders wait."""
        self._order.pause()

    def resume_writing(self) -> None:
        """Let senders go on."""
        pong, self._late_pong = self._late_pong, b""
        if pong:
            self._transport.write(pong)
        self._order.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Let nobody wait for the client any more."""
        self._has_ended = True
        self._note_end(1006, "")
        self.state = CLOSED
        self._set_timer(inf, self.abort)
        self._frames.release()
        if self._closed is not None:
            self._closed.set_result(None)

    # What comes.

    def _read(self, data: bytes) -> None:
        """Handle frame after frame, until the queue is full or it takes long; keep the rest."""
        position, size, queue, work = 0, len(data), self.queue, 0
        while position < size and work < _TURN and (not queue.is_full or self.state is CLOSING):
            position, event = self._frames.read(data, position)
            work += _FRAME
            if event is None:
                continue
            if isinstance(event, (str, bytes)):
                work += len(event)
                self._receive(event)
            elif isinstance(event, Ping):
                self._send_pong(event.answer)
            else:
                self._has_ended = True
                self._leave(event)
        self._unread = b"" if self._has_ended else data[position:]
        if self._unread:
            self._transport.pause_reading()
            if work >= _TURN:
                self._go_on_soon()

    def _receive(self, message: str | bytes) -> None:
        if self.state is not OPEN:
            return
        self.queue.put(message)
        if self._keepalive.counts_idle:
            self._keepalive.active_at = self._loop.time()

    def _send_pong(self, pong: bytes) -> None:
        if self._order.is_paused:
            self._late_pong = pong
        else:
            self._transport.write(pong)

    def _go_on_soon(self) -> None:
        # Not at once: it could take long, and the caller is a task that others wait for.
        self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._has_ended:
            return
        self._read(self._unread)
        if not self._unread:
            self._transport.resume_reading()

    # How it ends.

    def _leave(self, end: End) -> None:
        """Close the connection, because nothing more can come."""
        self._end(end.code, end.reason, end.answer)
        can_end = _can_write_eof(self._transport)
        if can_end:
            # Closing is not enough where another server has a duplicate of the socket.
            self._transport.write_eof()
        if end.is_fault and can_end:
            # To close while the client still sends would be a reset, and could hide the frame.
            self._transport.resume_reading()
        else:
            self._transport.close()

    def _end(self, code: int, reason: str, frame: bytes) -> None:
        """Send the last frame, and set the time to close the connection."""
        self._note_end(code, reason)
        if frame:
            self._transport.write(frame)
        self._set_timer(self._loop.time() + self._settings.close_timeout, self.abort)

    def _note_end(self, code: int, reason: str) -> None:
        """Let nobody send or wait for messages any more; they are told of the first end."""
        self.state = CLOSING
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
            self.queue.close(code, reason)
            self._notice.begin(self._loop, self._settings.close_timeout, self.queue)
        self._late_pong = b""
        self._order.resume()

    # Times.

    def _keep_alive(self) -> None:
        if self._unread:
            self._keepalive.was_heard = True  # a pong may be in what is not read yet
        due = self._keepalive.check(self._loop.time())
        if due is Due.LOST or (due is Due.PING and self._check_progress()):
            self._has_ended = True
            self._leave(self._frames.fail(1011, "the client does not answer"))
        elif due is Due.IDLE:
            self.close_soon(1001, "there was no message for a long time")
        elif due is Due.PING:
            self._transport.write(self._frames.ping())
        if self.state is OPEN:
            self._set_timer(self._keepalive.next_at(), self._keep_alive)

    def _check_progress(self) -> bool:
        """Return whether the client has taken nothing since the last ping, while senders wait."""
        before = self._unsent
        self._unsent = self._transport.get_write_buffer_size() if self._order.is_paused else 0
        return 0 < before <= self._unsent

    def _set_timer(self, when: float, callback: Callable[[], object]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if when < inf:
            self._timer = self._loop.call_at(ceil(when * _TIMER_GRID) / _TIMER_GRID, callback)

    def _frame(self, message: object) -> bytes:
        if isinstance(message, str):
            return self._frames.text(message.encode())
        if isinstance(message, (bytes, bytearray, memoryview)):
            return self._frames.binary(bytes(message))  # a view may have items of several bytes
        raise WebSocketTypeError(message)


def _can_write_eof(transport: asyncio.Transport) -> bool:
    try:
        return transport.can_write_eof()
    except NotImplementedError:  # what the base class does
        return False
