"""`Database`: the connections of one process to where the ledger is.

Rules for the file:

- A connection is used by the process that made it, and by no other: each process has its own
  `Connections`, found by its pid. What a child inherited it neither uses nor closes, because
  closing would speak to the server, or let go of files, in the parent's name.
- Making `Connections` opens nothing, so two threads may make them at once and one is dropped.
- Reads are single statements without a transaction. Writes are one transaction each.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dewar.tasks.errors import LedgerError

__all__ = ["BUSY_TIMEOUT", "Connections", "Database"]

#: How long a writer waits for others, in seconds.
BUSY_TIMEOUT = 30.0


@dataclass(slots=True, eq=False)
class Connections:
    """What one process has."""

    reader: Engine
    writer: Engine
    #: The connection that looks for changes of the others, where one is needed; under the lock.
    watch: Connection | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Database:
    """Gives connections, and the few things in which databases differ.

    Args:
        name: what a user calls it, without any password.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._by_pid: dict[int, Connections] = {}

    def connections(self) -> Connections:
        """Return those of this process."""
        pid = os.getpid()
        return self._by_pid.get(pid) or self._by_pid.setdefault(pid, self._make())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for single statements that change nothing.

        Raises:
            LedgerError: where the database fails.
        """
        try:
            with self.connections().reader.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.translated(error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction, which is committed unless an exception passes.

        Raises:
            LedgerError: where the database fails; nothing was changed.
        """
        try:
            with self.connections().writer.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.translated(error) from error

    def translated(self, error: SQLAlchemyError) -> LedgerError:
        """Return our error for one of the database's."""
        return LedgerError(self.name, str(getattr(error, "orig", None) or error))

    def exclude(self, connection: Connection, name: str) -> None:
        """Until the transaction ends, let no other pass here with the same name."""
        raise NotImplementedError

    def changes(self) -> int:
        """Return a number that is another one once something was committed."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what is idle; what is used again opens anew."""
        connections = self._by_pid.get(os.getpid())
        if connections is None:
            return
        with connections.lock:
            if connections.watch is not None:
                connections.watch.close()
                connections.watch = None
        connections.reader.dispose()
        connections.writer.dispose()

    def _make(self) -> Connections:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
