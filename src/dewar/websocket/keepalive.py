"""`Keepalive`: when a ping is due, and when the client counts as lost or idle."""

from enum import Enum
from math import inf

from dewar.websocket.settings import WebSocketSettings


class Due(Enum):
    """What has to be done."""

    NOTHING = "nothing"
    PING = "send a ping"
    LOST = "cut the connection, because nothing comes after a ping"
    IDLE = "close, because no message is sent or received"


class Keepalive:
    """The deadlines of one WebSocket. It does no I/O, and is told the time.

    Whatever comes from the client shows that it is there: a pong behind a long message comes late.

    Args:
        settings: The times.
        now: The time of the event loop, in seconds.

    Attributes:
        was_heard: Set this when anything comes from the client.
        active_at: Set this to the time when a message is sent or received, if `counts_idle`.
    """

    __slots__ = ("_lost_at", "_ping_at", "_settings", "active_at", "was_heard")

    def __init__(self, settings: WebSocketSettings, now: float) -> None:
        self._settings = settings
        self._ping_at = now + (settings.ping_interval or inf)
        self._lost_at = inf
        self.was_heard = False
        self.active_at = now

    def __repr__(self) -> str:
        return f"<Keepalive, next at {self.next_at()}>"

    @property
    def counts_idle(self) -> bool:
        """Whether there is a limit for the time without messages."""
        return self._settings.idle_timeout is not None

    def next_at(self) -> float:
        """Return when to `check` next, as a time of the event loop; infinite if never."""
        return min(self._ping_at, self._lost_at, self._idle_at())

    def check(self, now: float) -> Due:
        """Return what is due at *now*, a time of the event loop."""
        if self.was_heard:
            self.was_heard = False
            self._lost_at = inf
        if now >= self._lost_at:
            return Due.LOST
        if now >= self._idle_at():
            return Due.IDLE
        if now < self._ping_at:
            return Due.NOTHING
        self._ping_at = now + (self._settings.ping_interval or inf)
        if self._lost_at == inf:
            self._lost_at = now + (self._settings.ping_timeout or inf)
        return Due.PING

    def _idle_at(self) -> float:
        return self.active_at + (self._settings.idle_timeout or inf)
