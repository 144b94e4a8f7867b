"""`SendOrder`: who sends next while the client reads slowly."""

import asyncio
from collections import deque


class SendOrder:
    """Lets tasks send one after the other, in the order of their calls. For the loop's thread only.

    A message is written as a whole or not at all, so a cancelled call leaves no half of one.
    """

    __slots__ = ("_is_paused", "_waiting")

    def __init__(self) -> None:
        self._is_paused = False
        # None until somebody waits: an empty deque takes 600 bytes, and many sockets are idle.
        self._waiting: deque[asyncio.Future[None]] | None = None

    def __repr__(self) -> str:
        return f"<SendOrder, {len(self._waiting or ())} waiting>"

    @property
    def is_paused(self) -> bool:
        """Whether the transport has as much as it should."""
        return self._is_paused

    @property
    def must_wait(self) -> bool:
        """Whether a caller has to `wait` for its turn."""
        return self._is_paused or bool(self._waiting)

    async def wait(self) -> None:
        """Return when the caller may send. It calls `pass_on` afterwards."""
        if self._waiting is None:
            self._waiting = deque()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.remove(turn)
            self.pass_on()
            raise
        self._waiting.remove(turn)

    def pause(self) -> None:
        """Let callers wait."""
        self._is_paused = True

    def resume(self) -> None:
        """Let the first caller go on."""
        self._is_paused = False
        self.pass_on()

    def pass_on(self) -> None:
        """Let the next caller go on, unless sending is paused."""
        if self._waiting and not self._is_paused and not self._waiting[0].done():
            self._waiting[0].set_result(None)
