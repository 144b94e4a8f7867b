"""`BrokerConnection` and `BrokerMark`: a process's connection to the broker and its mark there."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kombu import Connection
from kombu.exceptions import OperationalError

from dewar.tasks.errors import EngineUnreachable

# In seconds: how long the mark exists, and how often that time is extended.
_KEPT = 7 * 86400
_RENEWED = 3600.0


class BrokerConnection:
    """A connection that all threads share. One thread at a time uses it.

    Args:
        connect: Returns a connection that is not connected yet.
        where: The name of the broker in messages.
    """

    def __init__(self, connect: Callable[[], Connection], where: str) -> None:
        self._connect = connect
        self._where = where
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<BrokerConnection to {self._where}>"

    def send(self, use: Callable[[Connection], object]) -> None:
        """Call a function with the connection. If that is broken, call it again with a new one.

        Raises:
            EngineUnreachable: If the broker does not answer.
        """
        with self._lock:
            if self._connection is not None and self._use_again(use, self._connection):
                return
            with self._raising_unreachable():
                use(self._open())

    def close(self) -> None:
        """Close the connection; the next `send` opens another one."""
        with self._lock:
            self._close()

    def _use_again(self, use: Callable[[Connection], object], connection: Connection) -> bool:
        """Call a function with the open connection; return false if that is broken."""
        try:
            with self._broken_is_closed():
                use(connection)
        except _Broken:
            return False
        return True

    def _open(self) -> Connection:
        connection = self._connect()
        self._connection = connection
        connection.connect()
        return connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    @contextmanager
    def _broken_is_closed(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            broken = (OSError, OperationalError)
            if self._connection is not None:
                broken += self._connection.connection_errors + self._connection.channel_errors
            self._close()
            if isinstance(error, broken):
                raise _Broken from error
            raise

    @contextmanager
    def _raising_unreachable(self) -> Iterator[None]:
        try:
            with self._broken_is_closed():
                yield
        except _Broken as broken:
            error = broken.__cause__ or broken
            raise EngineUnreachable("celery", self._where, error) from error


class BrokerMark:
    """A key in Redis. If it is missing, Redis was restarted and has lost its data.

    RabbitMQ keeps durable queues over a restart, so nothing is marked there.

    Args:
        name: The beginning of the key, different in each process.
        is_redis: Whether the broker is Redis.
        clock: Monotonic, in seconds.
    """

    def __init__(
        self, name: str, is_redis: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._key = f"{name}.mark"
        self._is_redis = is_redis
        self._clock = clock
        #: When it was set or extended last; None if it is not set.
        self._made: float | None = None

    def __repr__(self) -> str:
        return f"<BrokerMark {self._key}>"

    def note(self, connection: Connection) -> None:
        """Set the mark if it never was set, and extend its time."""
        if not self._is_redis:
            return
        now = self._clock()
        if self._made is None:
            connection.default_channel.client.set(self._key, "1", ex=_KEPT)
        elif now - self._made > _RENEWED:
            # It is not set again here: a missing mark must stay missing until it is detected.
            connection.default_channel.client.expire(self._key, _KEPT)
        else:
            return
        self._made = now

    def detect_loss(self, connection: Connection) -> bool:
        """Return whether the mark has disappeared. If so, `note` sets a new one."""
        if self._made is None or connection.default_channel.client.exists(self._key):
            return False
        self._made = None
        return True

    def clear(self, connection: Connection) -> None:
        """Remove the mark."""
        if self._made is not None:
            connection.default_channel.client.delete(self._key)
            self._made = None


class _Broken(Exception):  # noqa: N818  # never leaves this file
    """Raised for a broken connection, which has been closed."""
