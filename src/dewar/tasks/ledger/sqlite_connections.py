"""The connections of one process to a ledger in SQLite, and the file that each has opened.

A commit into a file that was deleted or replaced is lost, although SQLite reports none of it. So
each connection keeps which file it has opened. If a check finds that this file is not at its path
any more, all connections of the process are closed for good.
"""

import os
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.database import (
    BUSY_TIMEOUT,
    READERS,
    Connections,
    WriteConnection,
    close_for_good,
)

#: Where a connection keeps which file it has opened.
FILE = "dewar.file"
#: For how long a commit may go into a file that is not at its path, in seconds.
_CHECK_INTERVAL = 0.005
_MOVED = (
    "its file was deleted, emptied or replaced while this process used it, so what was written last"
    " is not there. Put the file back, or restart all processes that use it: a start makes a new"
    " ledger. Delete or replace it only while no process uses it"
)
#: What to do about an error of SQLite, by its primary result code.
_REPAIRS = {
    sqlite3.SQLITE_BUSY: f". Another process has been writing for {BUSY_TIMEOUT:g} seconds",
    sqlite3.SQLITE_CANTOPEN: ". Put the file back, or restart all processes that use it: a start"
    " makes a new ledger",
    sqlite3.SQLITE_CORRUPT: ". Stop all processes that use it, and restore it from a backup",
    sqlite3.SQLITE_FULL: ". Free some space on its disk",
    sqlite3.SQLITE_IOERR: ". Check its disk",
    sqlite3.SQLITE_NOTADB: ". Stop all processes that use it, and restore it from a backup",
    sqlite3.SQLITE_READONLY: ". Let this process write the file and its folder",
}


def connections_of(path: Path, synchronous: str) -> Connections:
    """Return new connections to the file at a path, with a ``synchronous`` of SQLite."""
    # Only the start makes the file. An empty one in the place of a lost one would hide the loss.
    engine = create_engine(
        URL.create(
            "sqlite", database=f"file:{quote(str(path))}", query={"mode": "rw", "uri": "true"}
        ),
        pool_size=READERS + 2,  # one writes, and one looks for changes
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT,
        connect_args={"timeout": BUSY_TIMEOUT},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        try:
            record.info[FILE] = _file_at(path)
            # Python's sqlite3 must not begin transactions.
            connection.isolation_level = None
            connection.execute(f"PRAGMA synchronous = {synchronous}")
        except BaseException:
            connection.close()  # nobody else knows of it
            raise

    return Connections(engine, engine)


def open_writer(connections: Connections) -> WriteConnection:
    """Open the write connection; the caller holds its lock."""
    connection = connections.reader.connect()
    opened = WriteConnection(connection, driver_of(connection), connection.info[FILE])
    connections.write_connection = opened
    return opened


def drop_writer(connections: Connections) -> None:
    """Close the write connection, if there is one; the caller holds its lock."""
    if connections.write_connection is not None:
        close_for_good(connections.write_connection.connection)
        connections.write_connection = None


def drop_change_connection(connections: Connections) -> None:
    """Close the connection that looks for changes; the caller holds its lock."""
    if connections.change_connection is not None:
        close_for_good(connections.change_connection)
        connections.change_connection = None


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Return the connection of `sqlite3` in a connection."""
    driver: Any = connection.connection.driver_connection
    found: sqlite3.Connection = driver
    return found


def check_file(connection: Connection, opened: object, path: Path) -> None:
    """Check that the file which a connection has opened is at its path.

    Raises:
        LedgerError: If it is not. No connection of this process to that file is used again.
    """
    if _file_at(path) != opened:
        connection.invalidate()
        connection.engine.dispose()
        raise LedgerError(str(path), _MOVED)


def check_writer(connections: Connections, path: Path) -> None:
    """Check the file of the write connection, unless that was done just before.

    PERF: the check would be a tenth of a small transaction.
    """
    now, writer = time.monotonic(), connections.write_connection
    if writer is not None and now >= connections.check_due:
        connections.check_due = now + _CHECK_INTERVAL
        check_file(writer.connection, writer.file, path)


def repair_of(error: object) -> str:
    """Return what to do about an error of SQLite, or an empty text."""
    return _REPAIRS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")


def _file_at(path: Path) -> tuple[int, int, bool] | None:
    """Return what tells a file from another one, and whether it has content; None without one."""
    try:
        # PERF: a fourth of what `Path.stat` takes.
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size > 0
