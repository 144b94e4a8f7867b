"""`SQLiteDatabase`: a ledger in a file, for the processes of one host.

In WAL mode readers never wait, and writers wait for one another. Rules for the file:

- Inside a process the writers wait in line for the one connection that writes; only processes
  compete for the file's lock, where SQLite has them poll.
- A transaction that writes begins with BEGIN IMMEDIATE: one that began reading and then found
  another's changes could not go on.
- SQLite keeps its locks by process, and a child of fork() believes in locks that only its parent
  has (https://www.sqlite.org/howtocorrupt.html, section 2.6). So what is idle is closed before
  each fork, and opening a ledger leaves nothing open.
"""

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Lock, get_ident
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from dewar.tasks.errors import LedgerError, TaskSetupError
from dewar.tasks.ledger.batch import RowValues
from dewar.tasks.ledger.database import BUSY_TIMEOUT, READERS, Connections, Database, Statement

#: The first with RETURNING.
_MIN_VERSION = (3, 35)
#: Between two attempts to turn to WAL while another process does, in seconds.
_PAUSE = 0.01
#: How long a fork waits for the threads that use ledgers, in seconds.
_FORK_WAIT = 5.0


class SQLiteDatabase(Database):
    """A file in WAL mode.

    Args:
        path: Of the file; it and its folder are made where they are missing.
        durable: Whether what is written survives a loss of power (one fsync for each transaction)
            and not only the end of any process.

    Raises:
        TaskSetupError: If the file cannot be used.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        super().__init__(str(path))
        self._path = path.absolute()
        self._synchronous = "FULL" if durable else "NORMAL"
        self._generations = itertools.count(1)
        self._base = 0
        _fork_barrier.add(self)
        # A fork waits for this as well.
        with self._entered().reader_slots:
            self._prepare()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give the connection that writes, in a transaction.

        PERF: it is kept and not taken from the pool each time, and begins and commits by the driver
        itself: together half of what a small transaction costs.
        """
        with self._write_connection() as write_connection:
            driver = _driver_of(write_connection)
            driver.execute("BEGIN IMMEDIATE")
            yield write_connection
            driver.execute("COMMIT")

    def write_one(self, statement: Statement, row: RowValues) -> None:
        """See `Database.write_one`: SQLite makes a transaction of each statement outside one."""
        with self._write_connection() as write_connection:
            rendered = self.render(write_connection, statement)
            _driver_of(write_connection).execute(rendered.sql, rendered.many([row])[0])

    @contextmanager
    def _write_connection(self) -> Iterator[Connection]:
        """Give the one connection that writes; it is closed, and rolls back, where that fails."""
        connections = self._entered()
        if not connections.write_lock.acquire(timeout=BUSY_TIMEOUT):
            raise LedgerError(self.name, f"a thread has been writing for {BUSY_TIMEOUT:g} seconds")
        try:
            if connections.write_connection is None:
                connections.write_connection = connections.reader.connect()
            yield connections.write_connection
        except BaseException as error:
            self._drop_write_connection(connections)
            if isinstance(error, SQLAlchemyError | sqlite3.Error):
                raise self.translated(error) from error
            raise
        finally:
            connections.write_lock.release()

    def change(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> None:
        """Execute a statement that returns nothing, by the driver itself.

        PERF: SQLAlchemy's part would be half of what a small transaction costs.
        """
        rendered = self.render(connection, statement)
        _driver_of(connection).executemany(rendered.sql, rendered.many(rows))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See `Database.reading`."""
        with self._entered().reader_slots, super().reading() as connection:
            yield connection

    def close(self) -> None:
        """Close what is idle; what is used again opens anew."""
        connections = self._by_pid.get(os.getpid())
        if connections is None:
            return
        with connections.reader_slots:  # a fork waits for this as well
            # A thread that writes has the lock, and its connection is not idle.
            if connections.write_lock.acquire(blocking=False):
                try:
                    self._drop_write_connection(connections)
                finally:
                    connections.write_lock.release()
            super().close()

    def pause(self, timeout: float) -> ExitStack:
        """Let nobody begin to use the database, and return when nobody does; close what to resume.

        Who still does after `timeout` seconds goes on.
        """
        connections = self._by_pid.get(os.getpid())
        if connections is None:
            return ExitStack()
        until = time.monotonic() + timeout
        # The fork barrier first, or threads that come again and again would be quicker.
        locks: list[Any] = [connections.fork_barrier, connections.write_lock]
        with ExitStack() as held:  # if something fails, nothing stays held
            for lock in (*locks, *[connections.reader_slots] * READERS):
                if lock.acquire(timeout=max(0.0, until - time.monotonic())):
                    held.callback(lock.release)
            self._drop_write_connection(connections)
            super().close()
            return held.pop_all()

    def _entered(self) -> Connections:
        """Return this process's connections once nobody keeps threads out of the database."""
        connections = self.connections()
        with connections.fork_barrier:
            return connections

    def _drop_write_connection(self, connections: Connections) -> None:
        if connections.write_connection is not None:
            connections.write_connection.close()
            connections.write_connection = None

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Nothing is to be done: a writer is alone."""

    def changes(self) -> int:
        """Return the version of what the watching connection sees."""
        connections = self._entered()
        with connections.reader_slots, connections.lock:
            if connections.change_connection is None:
                connections.change_connection = connections.reader.connect()
                # Each connection counts from its own beginning.
                self._base = next(self._generations) << 32
            found = connections.change_connection.exec_driver_sql(
                "PRAGMA data_version"
            ).scalar_one()
            return self._base + int(found)

    def _make(self) -> Connections:
        engine = self._engine(READERS + 2)  # who writes, and who watches
        return Connections(engine, engine)

    def _engine(self, most: int) -> Engine:
        engine = create_engine(
            URL.create("sqlite", database=str(self._path)),
            pool_size=most,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT,
            connect_args={"timeout": BUSY_TIMEOUT},
            hide_parameters=True,
        )
        event.listen(engine, "connect", self._configure)
        return engine

    def _configure(self, connection: DBAPIConnection, _record: object) -> None:
        # Python shall begin nothing by itself.
        connection.isolation_level = None
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")

    def _prepare(self) -> None:
        if sqlite3.sqlite_version_info < _MIN_VERSION:
            raise TaskSetupError(
                f"The ledger needs SQLite 3.35 or newer; Python has {sqlite3.sqlite_version}."
            )
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT)) as connection:
                mode = _enable_wal(connection)
        except (OSError, sqlite3.Error) as error:
            raise TaskSetupError(
                f"The file {self.name} cannot be a ledger: {error}. Name one that this process may"
                " write, in a folder that it may write."
            ) from error
        if mode != "wal":
            raise TaskSetupError(
                f"The file {self.name} cannot have a write-ahead log (its journal mode stays"
                f" {mode}). Name one on a local disk, or take PostgreSQL for several hosts."
            )


class _ForkBarrier:
    """Has each fork wait until no thread uses a ledger of this process.

    A fork in the middle of a write would leave the child with the belief that somebody writes, and
    one in the middle of anything with locks of SQLite's own that nobody ever gives back. The child
    has connections and locks of its own, so nothing is to be done there.

    There is one for the process, as Python's list of what to call at a fork is: what is registered
    there stays for ever, so it must not be something for each ledger.
    """

    def __init__(self) -> None:
        # Held during a fork: whoever opens a ledger meanwhile waits.
        self._lock = Lock()
        # By identity. A copy of its references is one step, so even where the lock could not be
        # had no thread disturbs it; to iterate over a WeakSet could fail then.
        self._databases: WeakValueDictionary[int, SQLiteDatabase] = WeakValueDictionary()
        # By thread: several may fork at once.
        self._held: dict[int, ExitStack] = {}

    def add(self, database: SQLiteDatabase) -> None:
        """Have forks wait for the users of this one too, for as long as it is there."""
        with self._lock:
            self._databases[id(database)] = database

    def close(self) -> None:
        """Wait for the users, close what is idle, and keep all out until `open`."""
        held = self._held[get_ident()] = ExitStack()
        until = time.monotonic() + _FORK_WAIT
        if self._lock.acquire(timeout=_FORK_WAIT):
            held.callback(self._lock.release)
        for reference in self._databases.valuerefs():
            database = reference()
            if database is not None:
                held.enter_context(database.pause(max(0.0, until - time.monotonic())))

    def open(self) -> None:
        """Let the parent's threads go on."""
        self._held.pop(get_ident()).close()

    def forget(self) -> None:
        """Begin anew in a child: what is held is the parent's."""
        self._lock = Lock()
        self._held.clear()

    def __repr__(self) -> str:
        return f"<_ForkBarrier of {len(self._databases)} databases>"


_fork_barrier = _ForkBarrier()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_fork_barrier.close,
        after_in_parent=_fork_barrier.open,
        after_in_child=_fork_barrier.forget,
    )


def _driver_of(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    found: sqlite3.Connection = driver
    return found


def _enable_wal(connection: sqlite3.Connection) -> str:
    """Return the journal mode the file has now."""
    until = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            # Where two turn at once, SQLite fails one without having it wait.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_PAUSE)
