"""`Database`: the connections of one process to the ledger's database.

Rules for the file:

- Only the process that made a connection uses it: each process has its own `Connections`. A child
  neither uses nor closes the inherited ones, because closing would speak to the server, or release
  the locks of files, in the parent's name.
- Making `Connections` opens nothing, so two threads may make them at once and one is dropped.
- Reads are single statements without a transaction. Writes are one transaction each.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, TypeAlias

from sqlalchemy import (
    Connection,
    CursorResult,
    Delete,
    Dialect,
    Engine,
    Insert,
    Select,
    TextClause,
    Update,
)
from sqlalchemy.exc import SQLAlchemyError

from dewar.support.per_process import PerProcess
from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.columns import RowValues
from dewar.tasks.ledger.notifications import Notice, Notifications, Tell

Statement: TypeAlias = Select[Any] | Insert | Update | Delete | TextClause

#: The errors of PEP 249 that values cause, by their names: each driver has its own classes.
_REFUSALS = frozenset({"DataError", "IntegrityError", "ProgrammingError"})
#: How many threads of a process may read at a time; more wait.
READERS = 8
#: How long a writer waits for other writers, in seconds.
BUSY_TIMEOUT = 30.0


class WriteConnection(NamedTuple):
    """The only connection of a process that writes, the driver's connection in it, and its file."""

    connection: Connection
    driver: Any
    file: object


@dataclass(slots=True, eq=False)
class Connections:
    """The connections of one process."""

    reader: Engine
    writer: Engine
    #: Looks for changes by other connections, if that needs one; guarded by `lock`.
    change_connection: Connection | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: If the database has one writer per process; guarded by `write_lock`.
    write_connection: WriteConnection | None = None
    write_lock: threading.Lock = field(default_factory=threading.Lock)
    #: When to look for its file again, on the monotonic clock; guarded by `write_lock`.
    check_due: float = 0.0
    #: Each thread passes it before it uses the database; a fork holds it to keep threads out.
    fork_barrier: threading.Lock = field(default_factory=threading.Lock)
    #: Each reader holds one while it reads, if a fork has to wait for readers.
    reader_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(READERS))


class CompiledStatement:
    """A statement in the SQL of one database. All its parameters are columns of a row.

    Attributes:
        sql: The text.
        parameters: Returns the parameters of a row as the driver takes them: by position or name.
    """

    __slots__ = ("parameters", "sql")

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        names: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self.parameters: Callable[[RowValues], Any] = (
            _itself if names is None else _getter_of(names)
        )


class StatementRunner(Protocol):
    """Executes statements on a connection that somebody has."""

    def run(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> CursorResult[Any]:
        """See `Database.run`."""

    def change(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> None:
        """See `Database.change`."""

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """See `Database.advisory_lock`."""


class Database:
    """Provides connections, and hides the differences between databases.

    Args:
        name: The path or URL for people, without any password.
        make: Makes the connections of one process.

    Attributes:
        connections: Returns the connections of this process.
    """

    def __init__(self, name: str, make: Callable[[], Connections]) -> None:
        self.name = name
        self._per_process = PerProcess(make)
        # PERF: the method itself, which saves a call in each transaction.
        self.connections = self._per_process.get
        self._compiled: dict[Statement, CompiledStatement] = {}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Provide a connection for single statements that change nothing.

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
        """Provide a connection in a transaction; commit it unless an exception passes.

        Raises:
            LedgerError: If the database fails. Nothing has changed.
        """
        try:
            with self.connections().writer.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self.translated(error) from error

    def translated(self, error: Exception) -> LedgerError:
        """Return the `LedgerError` for an error of the database."""
        original = getattr(error, "orig", None) or error
        kinds = {cls.__name__ for cls in type(original).__mro__}
        text = f"{original}{self.repair_of(original)}"
        return LedgerError(self.name, text, is_refusal=not _REFUSALS.isdisjoint(kinds))

    def repair_of(self, cause: object) -> str:  # noqa: ARG002  # for those that know more
        """Return what to do about an error of the driver, to follow its text."""
        return ""

    def run(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> CursorResult[Any]:
        """Execute a statement once for each row of parameters.

        PERF: it is compiled once per process. SQLAlchemy would look it up each time, which takes
        three times as long as SQLite then does; see `bench/micro/ledger.py`.
        """
        compiled = self.compiled(connection, statement)
        given = [compiled.parameters(row) for row in rows]
        return connection.exec_driver_sql(compiled.sql, given[0] if len(given) == 1 else given)

    def change(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> None:
        """Execute a statement that returns nothing once for each row of parameters."""
        self.run(connection, statement, rows)

    def write_one(self, statement: Statement, row: RowValues) -> None:
        """Execute one statement that returns nothing, in its own transaction.

        Raises:
            LedgerError: If the database fails. Nothing has changed.
        """
        with self.writing() as connection:
            self.change(connection, statement, [row])

    def compiled(self, connection: Connection, statement: Statement) -> CompiledStatement:
        """Return a statement in the SQL of the database."""
        found = self._compiled.get(statement)
        if found is None:
            found = self._compiled[statement] = CompiledStatement(statement, connection.dialect)
        return found

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Keep all other transactions out of the lock of this name until this one ends."""
        raise NotImplementedError

    def create_schema(self, connection: Connection) -> None:
        """Create the schema of the tables, if there is none yet and the database has schemas."""

    def joining(self, connection: Connection) -> AbstractContextManager[None]:
        """Provide a SAVEPOINT in a transaction of the program, in which statements find the tables.

        Raises:
            TaskSetupError: If the connection is not to this database, or has no transaction.
        """
        raise NotImplementedError

    def tell_at_commit(self, connection: Connection, notice: Notice, tell: Tell) -> None:
        """Have others told when the transaction of a connection has been committed.

        Args:
            connection: A connection of the program.
            notice: What to tell.
            tell: Called with the notice then, unless the database tells all processes.
        """
        raise NotImplementedError

    def changes(self) -> int:
        """Return a number that is different after each commit by anybody."""
        raise NotImplementedError

    def notifications(self) -> Notifications:
        """Return how the processes that use the database tell one another of changes."""
        raise NotImplementedError

    def close(self) -> None:
        """Close idle connections; they are opened again when needed."""
        connections = self._per_process.maybe_get()
        if connections is None:
            return
        with connections.lock:
            if connections.change_connection is not None:
                close_for_good(connections.change_connection)
                connections.change_connection = None
        connections.reader.dispose()
        connections.writer.dispose()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def is_conflict(error: LedgerError) -> bool:
    """Return whether a row was refused: another one has its id or key, or it lacks a value."""
    cause = error.__cause__
    names = {cls.__name__ for cls in type(getattr(cause, "orig", None) or cause).__mro__}
    return "IntegrityError" in names


def may_work_again(error: LedgerError) -> bool:
    """Return whether a transaction may succeed the next time: a conflict, or a deadlock."""
    cause = error.__cause__
    return is_conflict(error) or type(getattr(cause, "orig", None)).__name__ == "DeadlockDetected"


def _itself(row: RowValues) -> RowValues:
    return row


def _getter_of(names: Sequence[str]) -> Callable[[RowValues], tuple[object, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple([row[name] for name in names])


def close_for_good(connection: Connection) -> None:
    """Close a connection, and do not return it to its pool, which may be disposed of by now."""
    if not connection.closed and not connection.invalidated:
        connection.detach()
    connection.close()
