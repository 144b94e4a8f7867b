"""The file of an SQLite ledger: private, and in WAL mode.

SECURITY: a ledger has the arguments of jobs, requests, sessions and callbacks. So its file, and the
files that SQLite keeps beside it, are for one user. Users who share jobs use PostgreSQL.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from dewar.support.private_files import make_private, make_private_file, make_private_folder
from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.database import BUSY_TIMEOUT

#: The first version with RETURNING.
_MIN_VERSION = (3, 35)
#: The pause between two attempts to switch to WAL while another process does, in seconds.
_PAUSE = 0.01
#: SQLite makes these files beside its own, with the permissions of its own.
_BESIDE = ("-wal", "-shm", "-journal")


def prepare_file(path: Path, shown: str) -> None:
    """Make the file, or make an older one private, and switch it to WAL.

    Args:
        path: The path of the file. Missing folders are made too.
        shown: The path as the user has given it.

    Raises:
        TaskSetupError: The file cannot be a ledger, or is a symbolic link.
    """
    if sqlite3.sqlite_version_info < _MIN_VERSION:
        raise TaskSetupError(
            f"The ledger needs SQLite 3.35 or newer; Python has {sqlite3.sqlite_version}."
        )
    try:
        make_private_folder(path.parent)
        make_private_file(path)
        for suffix in _BESIDE:
            make_private(path.with_name(f"{path.name}{suffix}"))
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT)) as connection:
            mode = _enable_wal(connection)
    except (OSError, sqlite3.Error) as error:
        raise TaskSetupError(
            f"The file {shown} cannot be a ledger: {error}. Give a file that this process may"
            " write, in a folder that it may write."
        ) from error
    if mode != "wal":
        raise TaskSetupError(
            f"The file {shown} cannot have a write-ahead log (its journal mode stays {mode}). Use"
            " a local disk, or PostgreSQL for several hosts."
        )


def _enable_wal(connection: sqlite3.Connection) -> str:
    """Switch the file to WAL; return the journal mode that it has now."""
    until = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            # If two processes switch at once, SQLite fails one of them without a wait.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(_PAUSE)
