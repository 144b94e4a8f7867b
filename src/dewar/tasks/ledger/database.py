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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, CursorResult, Delete, Dialect, Engine, Insert, Select, Update
from sqlalchemy.exc import SQLAlchemyError

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.batch import RowValues

Statement: TypeAlias = Select[Any] | Insert | Update | Delete

#: How many may read at a time in one process; more wait.
READERS = 8
#: How long a writer waits for others, in seconds.
BUSY_TIMEOUT = 30.0


@dataclass(slots=True, eq=False)
class Connections:
    """What one process has."""

    reader: Engine
    writer: Engine
    #: The connection that looks for changes of the others, where one is needed; under the lock.
    change_connection: Connection | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: The one connection that writes, where there is only one; under its lock.
    write_connection: Connection | None = None
    write_lock: threading.Lock = field(default_factory=threading.Lock)
    #: Where everybody passes who begins to use the database; who closes it keeps them out.
    fork_barrier: threading.Lock = field(default_factory=threading.Lock)
    #: What each reader holds one of while it reads, where a fork has to wait for them.
    reader_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(READERS))


class CompiledStatement:
    """A statement in the SQL of one database, whose parameters are all in each row."""

    __slots__ = ("_names", "sql")

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._names: Sequence[str] | None = getattr(compiled, "positiontup", None)

    def parameters(self, rows: Sequence[RowValues]) -> Any:
        """Return the parameters as the driver takes them: by position, or by name."""
        if self._names is None:
            return rows[0] if len(rows) == 1 else list(rows)
        found = self.many(rows)
        return found[0] if len(found) == 1 else found

    def many(self, rows: Sequence[RowValues]) -> list[tuple[object, ...]]:
        """Return the parameters of all rows by their positions."""
        names = self._names or ()
        return [tuple([row[name] for name in names]) for row in rows]


class Database:
    """Gives connections, and the few things in which databases differ.

    Args:
        name: What a user calls it, without any password.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._by_pid: dict[int, Connections] = {}
        self._rendered: dict[Statement, CompiledStatement] = {}

    def connections(self) -> Connections:
        """Return those of this process."""
        pid = os.getpid()
        return self._by_pid.get(pid) or self._by_pid.setdefault(pid, self._make())

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection for single statements that change nothing.

        Raises:
            LedgerError: If the database fails.
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
            LedgerError: If the database fails; nothing was changed.
        """
        try:
            with self.connections().writer.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.translated(error) from error

    def translated(self, error: Exception) -> LedgerError:
        """Return our error for one of the database's."""
        return LedgerError(self.name, str(getattr(error, "orig", None) or error))

    def run(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> CursorResult[Any]:
        """Execute a statement once for each row of parameters.

        PERF: it is rendered once in this process's life. SQLAlchemy would look it up each time,
        which takes three times as long as SQLite then does; see `bench/micro/ledger.py`.
        """
        rendered = self.render(connection, statement)
        return connection.exec_driver_sql(rendered.sql, rendered.parameters(rows))

    def change(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> None:
        """Execute a statement that returns nothing once for each row of parameters."""
        self.run(connection, statement, rows)

    def write_one(self, statement: Statement, row: RowValues) -> None:
        """Execute one statement that returns nothing, as a transaction by itself.

        Raises:
            LedgerError: If the database fails; nothing was changed.
        """
        with self.writing() as connection:
            self.change(connection, statement, [row])

    def render(self, connection: Connection, statement: Statement) -> CompiledStatement:
        """Return a statement in the SQL of the database."""
        rendered = self._rendered.get(statement)
        if rendered is None:
            rendered = self._rendered[statement] = CompiledStatement(statement, connection.dialect)
        return rendered

    def advisory_lock(self, connection: Connection, name: str) -> None:
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
            if connections.change_connection is not None:
                connections.change_connection.close()
                connections.change_connection = None
        connections.reader.dispose()
        connections.writer.dispose()

    def _make(self) -> Connections:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
