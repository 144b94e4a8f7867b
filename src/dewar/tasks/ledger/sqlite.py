"""`SQLiteDatabase`: a ledger in a file, for the processes of one host.

In WAL mode readers never wait, and writers wait for one another. Rules for the file:

- The threads of a process queue for its only write connection. So only processes compete for the
  lock of the file, for which SQLite polls.
- A write transaction begins with BEGIN IMMEDIATE: one that began by reading could not write after
  another transaction has.
- A commit into a file that was deleted or replaced is lost, although SQLite reports none of it. So
  each connection knows the file that it has opened, which is looked for at its path after commits
  and with each look for changes.
- SQLite holds its locks per process, and a child of fork() relies on locks that only its parent
  has (https://www.sqlite.org/howtocorrupt.html, section 2.6). So idle connections are closed
  before each fork, and opening a ledger leaves nothing open.
"""

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Lock, get_ident
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.columns import RowValues
from dewar.tasks.ledger.database import (
    BUSY_TIMEOUT,
    READERS,
    Connections,
    Database,
    Statement,
)
from dewar.tasks.ledger.notifications import NoNotifications, Notice, Notifications, Tell
from dewar.tasks.ledger.socket_notifications import HAS_SOCKETS, SocketNotifications
from dewar.tasks.ledger.sqlite_connections import (
    FILE,
    check_file,
    check_writer,
    connections_of,
    driver_of,
    drop_change_connection,
    drop_writer,
    open_writer,
    repair_of,
)
from dewar.tasks.ledger.sqlite_file import prepare_file
from dewar.tasks.ledger.sqlite_joining import CommitWatch, join_sqlite

#: How long a fork waits for threads that use ledgers, in seconds.
_FORK_WAIT = 5.0


class SQLiteDatabase(Database):
    """A file in WAL mode.

    Args:
        path: The path of the file. The file and its folder are made if they are missing, for this
            user alone; an older file of this user is made private.
        durable: Whether commits survive a loss of power (one fsync per transaction), and not only
            the end of the process.

    Raises:
        TaskSetupError: If the file cannot be used.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self._path = path.absolute()
        make = partial(connections_of, self._path, "FULL" if durable else "NORMAL")
        super().__init__(str(path), make)
        self._generations = itertools.count(1)
        self._base = 0
        self._commits = CommitWatch(self.writing)
        _fork_barrier.add(self)
        # A fork waits for this as well.
        with self._entered().reader_slots:
            prepare_file(self._path, self.name)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Provide the write connection, in a transaction.

        PERF: it is kept, not taken from the pool each time, and it begins and commits through the
        driver: together that is half the cost of a small transaction.
        """
        connections = self._acquire_write_lock()
        try:
            connection, driver, _ = connections.write_connection or open_writer(connections)
            driver.execute("BEGIN IMMEDIATE")
            yield connection
            driver.execute("COMMIT")
            check_writer(connections, self._path)
        except BaseException as error:
            self._abort(connections, error)
            raise
        finally:
            connections.write_lock.release()

    def write_one(self, statement: Statement, row: RowValues) -> None:
        """See `Database.write_one`. Outside of a transaction, SQLite makes one per statement."""
        connections = self._acquire_write_lock()
        try:
            connection, driver, _ = connections.write_connection or open_writer(connections)
            compiled = self._compiled.get(statement) or self.compiled(connection, statement)
            driver.execute(compiled.sql, compiled.parameters(row))
            check_writer(connections, self._path)
        except BaseException as error:
            self._abort(connections, error)
            raise
        finally:
            connections.write_lock.release()

    def _acquire_write_lock(self) -> Connections:
        """Wait for the write lock of this process; return what it guards."""
        connections = self.connections()
        with connections.fork_barrier:
            pass
        if not connections.write_lock.acquire(timeout=BUSY_TIMEOUT):
            raise LedgerError(self.name, f"a thread has been writing for {BUSY_TIMEOUT:g} seconds")
        return connections

    def _abort(self, connections: Connections, error: BaseException) -> None:
        """Close the write connection, which rolls back; translate an error of the database."""
        drop_writer(connections)
        if isinstance(error, SQLAlchemyError | sqlite3.Error):
            raise self.translated(error) from error

    def change(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> None:
        """See `Database.change`. PERF: SQLAlchemy would be half the cost of a small transaction."""
        compiled = self.compiled(connection, statement)
        driver_of(connection).executemany(compiled.sql, map(compiled.parameters, rows))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See `Database.reading`."""
        with self._entered().reader_slots, super().reading() as connection:
            yield connection

    def repair_of(self, cause: object) -> str:
        """See `Database.repair_of`."""
        return repair_of(cause)

    def close(self) -> None:
        """Close idle connections; they are opened again when needed."""
        self._commits.close()
        connections = self._per_process.maybe_get()
        if connections is None:
            return
        with connections.reader_slots:  # a fork waits for this as well
            # A thread that writes holds the lock, and its connection is not idle.
            if connections.write_lock.acquire(blocking=False):
                try:
                    drop_writer(connections)
                finally:
                    connections.write_lock.release()
            super().close()

    def pause(self, timeout: float) -> ExitStack:
        """Keep threads out of the database until the stack is closed, and wait for its users.

        Users that do not end within `timeout` seconds go on.
        """
        connections = self._per_process.maybe_get()
        if connections is None:
            return ExitStack()
        until = time.monotonic() + timeout
        # The fork barrier first, or threads that come again and again would be quicker.
        locks: list[Any] = [connections.fork_barrier, connections.write_lock]
        with ExitStack() as held:  # if something fails, nothing stays held
            for lock in (*locks, *[connections.reader_slots] * READERS):
                if lock.acquire(timeout=max(0.0, until - time.monotonic())):
                    held.callback(lock.release)
            drop_writer(connections)
            super().close()
            return held.pop_all()

    def _entered(self) -> Connections:
        """Return this process's connections, after a fork that is under way."""
        connections = self.connections()
        with connections.fork_barrier:
            return connections

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Do nothing: SQLite has one writer at a time."""

    @contextmanager
    def joining(self, connection: Connection) -> Iterator[None]:
        """See `Database.joining`."""
        with join_sqlite(connection, self._path):
            # Changes nothing, and takes the write lock. If the program has begun with a plain
            # BEGIN, it could not write any more once another process has, after what is read here.
            connection.exec_driver_sql("DELETE FROM dewar_meta WHERE 0")
            yield

    def tell_at_commit(self, connection: Connection, notice: Notice, tell: Tell) -> None:
        """See `Database.tell_at_commit`."""
        self._commits.watch(connection, notice, tell)

    def notifications(self) -> Notifications:
        """See `Database.notifications`."""
        if not HAS_SOCKETS:
            return NoNotifications()
        return SocketNotifications(self._path.with_name(f"{self._path.name}-sockets"))

    def changes(self) -> int:
        """Return the version of the data that the change connection sees."""
        connections = self._entered()
        with connections.reader_slots, connections.lock:
            try:
                return self._base + self._data_version(connections)
            except LedgerError:
                drop_change_connection(connections)
                raise
            except SQLAlchemyError as error:
                drop_change_connection(connections)
                raise self.translated(error) from error

    def _data_version(self, connections: Connections) -> int:
        opened = connections.change_connection
        if opened is None:
            opened = connections.change_connection = connections.reader.connect()
            # Each connection counts from its opening.
            self._base = next(self._generations) << 32
        check_file(opened, opened.info[FILE], self._path)
        return int(opened.exec_driver_sql("PRAGMA data_version").scalar_one())


class _ForkBarrier:
    """Makes each fork wait until no thread uses a ledger of this process.

    Otherwise the child could inherit locks, of this file or inside SQLite, that nobody releases.
    The child makes new connections and locks, so it has nothing to release.

    There is one for the process: functions registered for a fork stay registered for ever.
    """

    def __init__(self) -> None:
        # Held during a fork: a thread that opens a ledger waits.
        self._lock = Lock()
        # By identity. Copying its references is atomic, so no thread disturbs it even if the lock
        # could not be acquired. Iterating over a WeakSet could fail then.
        self._databases: WeakValueDictionary[int, SQLiteDatabase] = WeakValueDictionary()
        # By thread: several threads may fork at once.
        self._held: dict[int, ExitStack] = {}

    def add(self, database: SQLiteDatabase) -> None:
        """Make forks wait for the users of this database too, as long as it exists."""
        with self._lock:
            self._databases[id(database)] = database

    def close(self) -> None:
        """Wait for the users, close idle connections, and keep threads out until `open`."""
        held = self._held[get_ident()] = ExitStack()
        until = time.monotonic() + _FORK_WAIT
        if self._lock.acquire(timeout=_FORK_WAIT):
            held.callback(self._lock.release)
        for reference in self._databases.valuerefs():
            database = reference()
            if database is not None:
                held.enter_context(database.pause(max(0.0, until - time.monotonic())))

    def open(self) -> None:
        """Let the parent's threads continue."""
        self._held.pop(get_ident()).close()

    def forget(self) -> None:
        """Start again in a child: the parent holds the locks."""
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
