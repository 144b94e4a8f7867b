"""Connections in the pools of a program's engines that a forked process has inherited.

A fork copies the pool, and so two processes would speak on one connection, or share the locks of
one SQLite file. SQLAlchemy leaves that to the program. With tasks a program has processes that it
does not fork itself, so here each connection knows the process that made it, and another process
takes a new one instead (SQLAlchemy, "Using Connection Pools with Multiprocessing or os.fork()").

The inherited connection is neither used nor closed: to close it would end the parent's session, or
release its locks. A database in memory belongs to its connection, so there the copy is used.
"""

import os
import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, Pool

#: Where a connection in a pool has the id of its process.
_PID = "dewar.pid"
#: The process of connections that were made before this module was there.
_FIRST = os.getpid()

#: Inherited connections, because a driver closes those that nobody has.
_inherited: list[DBAPIConnection] = []


def _note_process(_driver: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    record.info[_PID] = os.getpid()


def _check_process(driver: DBAPIConnection, record: Any, proxy: Any) -> None:
    if record.info.setdefault(_PID, _FIRST) == os.getpid():
        return
    if isinstance(driver, sqlite3.Connection) and not any(_files_of(driver)):
        return
    _inherited.append(driver)
    record.dbapi_connection = proxy.dbapi_connection = None
    raise DisconnectionError("The connection belongs to the parent of this process.")


def _files_of(driver: sqlite3.Connection) -> list[str]:
    """Return the paths of the databases of a connection; that of one in memory is empty."""
    return [path for _, _, path in driver.execute("PRAGMA database_list")]


# Once for all pools of the process, whenever they are made.
event.listen(Pool, "connect", _note_process)
event.listen(Pool, "checkout", _check_process)
