"""`BrokerConnection`: the connection by which a process talks to the broker."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kombu import Connection
from kombu.exceptions import OperationalError

from dewar.tasks.errors import EngineUnreachable


class BrokerConnection:
    """One connection for all threads, of which one at a time has it.

    Args:
        connect: Returns a connection that is not connected yet.
        where: What messages call the broker.
    """

    def __init__(self, connect: Callable[[], Connection], where: str) -> None:
        self._connect = connect
        self._where = where
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<BrokerConnection to {self._where}>"

    def send(self, use: Callable[[Connection], object]) -> None:
        """Call a function with the connection; and again, if that has broken, with a new one.

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
        """Call a function with the connection there is; return whether that still works."""
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


class _Broken(Exception):  # noqa: N818  # never leaves this file
    """Raised inside for a connection that is of no use any more."""
