"""`CloseNotice`: whether the program knows that its WebSocket is closed."""

import asyncio
from enum import Enum
from typing import Any

from dewar.websocket.receive_queue import ReceiveQueue


class NoticeState(Enum):
    """What the program knows."""

    OPEN = "the WebSocket is not closed"
    UNKNOWN = "it is closed, and the program has made no call that says so"
    KNOWN = "the program was told, has closed it or has ended"
    CANCELLED = "the program was cancelled, because it made no call"


_OPEN, _UNKNOWN, _KNOWN, _CANCELLED = NoticeState
TRANSITIONS: dict[NoticeState, frozenset[NoticeState]] = {
    _OPEN: frozenset({_UNKNOWN, _KNOWN}),
    _UNKNOWN: frozenset({_KNOWN, _CANCELLED}),
    _KNOWN: frozenset(),
    _CANCELLED: frozenset(),
}


class CloseNotice:
    """Cancels a program that does not learn in time that its WebSocket is closed.

    One that sends or receives is told by an error. Another one would wait for what it waits for,
    without a client. A program that knows is never cancelled here, so that it can clean up.

    Args:
        task: That of the program; None if it is not to be cancelled.

    Attributes:
        state: What the program knows.
    """

    __slots__ = ("_task", "_timer", "state")

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        self._task = task
        self._timer: asyncio.TimerHandle | None = None
        self.state = _OPEN

    def __repr__(self) -> str:
        return f"<CloseNotice {self.state.name.lower()}>"

    def begin(self, loop: asyncio.AbstractEventLoop, timeout: float, queue: ReceiveQueue) -> None:
        """Note that the WebSocket is closed.

        Args:
            loop: The loop of the task.
            timeout: How long the program may make no call, in seconds.
            queue: What it can still receive.
        """
        if self._move(_UNKNOWN) and self._task is not None:
            self._set_timer(loop, timeout, queue)

    def tell(self) -> None:
        """Note that the program knows."""
        if self._move(_KNOWN):
            self._task = None  # it refers to all that the request has
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def take_cancellation(self) -> bool:
        """Return whether the program was cancelled here, and by nobody else.

        Call it in the task, when the program has ended.
        """
        task, self._task = self._task, None
        return self.state is _CANCELLED and task is not None and not task.uncancel()

    def _set_timer(
        self, loop: asyncio.AbstractEventLoop, timeout: float, queue: ReceiveQueue
    ) -> None:
        args = loop, timeout, queue, queue.size
        self._timer = loop.call_later(timeout, self._check, *args)

    def _check(
        self, loop: asyncio.AbstractEventLoop, timeout: float, queue: ReceiveQueue, size: int
    ) -> None:
        self._timer = None
        if queue.size != size:
            self._set_timer(loop, timeout, queue)  # it receives what came before the end
        elif self._task is not None and self._move(_CANCELLED):
            self._task.cancel()

    def _move(self, state: NoticeState) -> bool:
        if state not in TRANSITIONS[self.state]:
            return False
        self.state = state
        return True
