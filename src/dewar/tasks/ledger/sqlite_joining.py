"""Jobs in a transaction of the program on the SQLite file that has the ledger, too.

Python's sqlite3 begins a transaction with the first statement that writes. A SAVEPOINT before that
would be a transaction of its own, and its RELEASE a commit. So a transaction that has not begun is
begun here.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, event

from dewar.loop.call_queue import CallQueue
from dewar.tasks.errors import LedgerError, TaskSetupError
from dewar.tasks.ledger.notifications import Notice, Tell

#: Where a connection keeps for which ledger it was checked.
_CHECKED = "dewar.ledger"
#: How long the end of the process waits for the thread, in seconds.
_FINAL_WAIT = 5.0


@contextmanager
def join_sqlite(connection: Connection, path: Path) -> Iterator[None]:
    """Provide a SAVEPOINT in the transaction of a connection, which is begun if it has not.

    Raises:
        TaskSetupError: If it is not to the file at the path, or commits each statement.
    """
    if not reaches_file(connection, path):
        url = connection.engine.url.render_as_string(hide_password=True)
        raise TaskSetupError(
            f"The connection is to {url}, and the ledger is {path}. To write a job with other rows,"
            " both are one file: app.config['TASKS_LEDGER'] = the path of the database, for"
            " example 'sqlite:////srv/shop/instance/shop.sqlite3'."
        )
    if not connection.in_transaction():
        connection.begin()
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        if driver.isolation_level is None or getattr(driver, "autocommit", None) is True:
            raise TaskSetupError(
                "The connection commits each statement (AUTOCOMMIT), so it has no transaction for"
                " the job. Leave out its isolation_level, or submit without connection=."
            )
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    with connection.begin_nested():
        yield


def reaches_file(connection: Connection, path: Path) -> bool:
    """Return whether a connection is to the file at a path. It is checked once."""
    if connection.dialect.name != "sqlite":
        return False
    if connection.info.get(_CHECKED) == str(path):
        return True
    files = connection.exec_driver_sql("PRAGMA database_list").all()
    main = next((row[2] for row in files if row[1] == "main"), "")
    try:
        is_same = bool(main) and Path(main).samefile(path)
    except OSError:
        is_same = False
    if is_same:
        connection.info[_CHECKED] = str(path)
    return is_same


def holds_lock(connection: Connection) -> bool:
    """Return whether a connection to SQLite is in a transaction, which may have written."""
    if connection.dialect.name != "sqlite":
        return False
    driver: Any = connection.connection.driver_connection
    return bool(driver.in_transaction)


class CommitWatch:
    """Has others told when transactions of the program have ended.

    SQLAlchemy tells of a commit before it. So a thread waits for the write lock then, which the
    commit gives back. If the commit fails, others look for nothing.

    Args:
        writing: `Database.writing` of the ledger, which has one writer at a time.
    """

    def __init__(self, writing: Callable[[], AbstractContextManager[object]]) -> None:
        self._writing = writing
        self._notices: WeakKeyDictionary[Connection, tuple[Notice, Tell]] = WeakKeyDictionary()
        self._queue = CallQueue("dewar-tasks-commits")

    def __repr__(self) -> str:
        return f"<CommitWatch of {len(self._notices)} transactions>"

    def watch(self, connection: Connection, notice: Notice, tell: Tell) -> None:
        """Call a function with a notice when the transaction of a connection has ended."""
        known = self._notices.get(connection)
        self._notices[connection] = (notice if known is None else known[0].joined(notice), tell)
        # SQLAlchemy has each function once for a connection, and drops them with it.
        event.listen(connection, "commit", self._on_commit)
        event.listen(connection, "rollback", self._on_rollback)

    def _on_commit(self, connection: Connection) -> None:
        found = self._notices.pop(connection, None)
        if found is not None:
            self._queue.call_soon(self._tell, *found)

    def _on_rollback(self, connection: Connection) -> None:
        self._notices.pop(connection, None)

    def _tell(self, notice: Notice, tell: Tell) -> None:
        with suppress(LedgerError), self._writing():
            pass
        tell(notice)

    def close(self) -> None:
        """Tell what is left, and end the thread; a later commit starts another one."""
        self._queue.close(_FINAL_WAIT)
