"""`ReceiveQueue`: the messages that have come and are not received yet."""

import asyncio
from collections import deque
from collections.abc import Callable
from sys import getsizeof

from dewar.websocket.errors import WebSocketClosedError, WebSocketLoopError, WebSocketStateError


class ReceiveQueue:
    """The messages between the connection and the program. For the loop's thread only.

    Args:
        loop: The loop of the connection.
        high_water: How many bytes of memory the messages may take before it `is_full`. They are
            those of the objects, so that a flood of empty messages fills it too.
        on_room: Called when it was full and the program has taken most of it.
    """

    __slots__ = (
        "_closed", "_high_water", "_loop", "_next", "_on_room", "_receiver", "_rest", "_size",
        "_was_full",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, high_water: int, on_room: Callable[[], object]
    ) -> None:
        self._loop = loop
        self._high_water = high_water
        self._on_room = on_room
        self._next: str | bytes | None = None
        #: What comes after the next one. Seldom does anything, and an empty deque takes 600 bytes.
        self._rest: deque[str | bytes] | None = None
        self._size = 0
        self._was_full = False
        self._receiver: asyncio.Future[None] | None = None
        self._closed: tuple[int, str] | None = None

    def __repr__(self) -> str:
        count = (self._next is not None) + len(self._rest or ())
        return f"<ReceiveQueue, {count} messages, {self._size} bytes>"

    @property
    def is_full(self) -> bool:
        """Whether no more messages should be put in."""
        return self._size >= self._high_water

    @property
    def is_empty(self) -> bool:
        """Whether there is no message."""
        return self._next is None

    @property
    def size(self) -> int:
        """How many bytes of memory the messages take."""
        return self._size

    def put(self, message: str | bytes) -> None:
        """Add a message."""
        if self._next is None:
            self._next = message
        elif self._rest is None:
            self._rest = deque([message])
        else:
            self._rest.append(message)
        self._size += getsizeof(message)
        if self._size >= self._high_water:
            self._was_full = True
        self._wake()

    def close(self, code: int, reason: str) -> None:
        """Have `wait` raise a `WebSocketClosedError`; the messages can still be taken."""
        self._closed = (code, reason)
        self._on_room = _ignore  # without the connection, nothing has to be collected as garbage
        self._wake()

    def clear(self) -> None:
        """Drop the messages."""
        self._next = self._rest = None
        self._size = 0

    def wait(self) -> "asyncio.Future[None]":
        """Return what is done when the queue is not empty any more, or closed.

        It is no coroutine, because most sockets wait most of the time, and each would have a frame
        more. Nothing is lost if the waiting task is cancelled.

        Raises:
            WebSocketClosedError: If it is empty and no message can come.
            WebSocketLoopError: On another event loop.
            WebSocketStateError: If another task waits already.
        """
        if self._receiver is not None and not self._receiver.done():
            raise WebSocketStateError(
                "Another task already waits in receive(). Messages go to one task, which can"
                " pass them on, for instance through an asyncio.Queue."
            )
        if self._closed is not None:
            raise WebSocketClosedError(*self._closed)
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            raise WebSocketLoopError("receive()")
        self._receiver = loop.create_future()
        return self._receiver

    def take(self) -> str | bytes:
        """Return the next message.

        Raises:
            WebSocketStateError: If the queue is empty. Then `wait` first.
        """
        message, rest = self._next, self._rest
        if message is None:
            raise WebSocketStateError("The queue is empty. Call: await queue.wait()")
        if rest is None:
            self._next = None
        else:
            self._next = rest.popleft()
            if not rest:
                self._rest = None
        self._size -= getsizeof(message)
        if self._was_full and self._size <= self._high_water // 2:
            self._was_full = False
            self._on_room()
        return message

    def _wake(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)


def _ignore() -> None:
    """Stand for a connection that reads nothing more."""
