"""`BrokerMark`: whether a broker still knows what it was given."""

import time
from collections.abc import Callable

from kombu import Connection

# In seconds: how long the mark stays, and how often it is made anew.
_KEPT = 7 * 86400
_RENEWED = 3600.0


class BrokerMark:
    """A mark in Redis. If it is gone, Redis has been restarted without what it knew.

    RabbitMQ keeps durable queues over a restart; for it, nothing is marked and nothing lost.

    Args:
        name: Tells apart the marks of different processes.
        is_redis: Whether the broker is Redis.
        clock: Monotonic, in seconds.
    """

    def __init__(
        self, name: str, is_redis: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._key = f"{name}.mark"
        self._is_redis = is_redis
        self._clock = clock
        #: When it was made last; None while there is none.
        self._made: float | None = None

    def __repr__(self) -> str:
        return f"<BrokerMark {self._key}>"

    def note(self, connection: Connection) -> None:
        """Make the mark where there never was one, and see that it stays."""
        if not self._is_redis:
            return
        now = self._clock()
        if self._made is None:
            connection.default_channel.client.set(self._key, "1", ex=_KEPT)
        elif now - self._made > _RENEWED:
            # No more than that: a mark that is gone must stay so until somebody has noticed.
            connection.default_channel.client.expire(self._key, _KEPT)
        else:
            return
        self._made = now

    def detect_loss(self, connection: Connection) -> bool:
        """Ask the broker for the mark; return whether it is gone. Then `note` makes a new one."""
        if self._made is None or connection.default_channel.client.exists(self._key):
            return False
        self._made = None
        return True

    def clear(self, connection: Connection) -> None:
        """Remove the mark."""
        if self._made is not None:
            connection.default_channel.client.delete(self._key)
            self._made = None
