"""`AppTransactions`: writes new jobs in transactions that the program has begun.

Rules for the file:

- The program ends the transaction, and nothing here commits it. Each write has a SAVEPOINT of its
  own, so after an error the transaction can go on, without the job.
- Nobody but the database decides whether the job is there. So no Future and no count of this
  process takes it for accepted before the commit.
- The connection may have any driver, so each statement goes through SQLAlchemy.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import SQLAlchemyError

from dewar.tasks.errors import LedgerError, TaskSetupError, UnknownJob
from dewar.tasks.ledger.batch_writing import CONFLICTS, write_with_effects
from dewar.tasks.ledger.columns import RowValues
from dewar.tasks.ledger.database import Database, Statement, may_work_again
from dewar.tasks.ledger.notifications import JOBS, PARTIAL, Notice
from dewar.tasks.ledger.outbox_insert import Describe
from dewar.tasks.ledger.queue_allowance import QueueAllowance
from dewar.tasks.ledger.records import BatchResult, NewJob
from dewar.tasks.ledger.workflow_rows import missing_jobs


class AppTransactions:
    """Writes jobs with what else the program writes: all of it, or nothing. Any thread may use it.

    Args:
        database: The database of the ledger.
        describe: Makes the body of the callback of a job that is replaced.
        tell: Called with a notice for the processes of this host when a transaction has ended,
            from a thread of its own; not if the database itself tells all processes.
    """

    def __init__(
        self, database: Database, describe: Describe, tell: Callable[[Notice], object]
    ) -> None:
        self._database = database
        self._describe = describe
        self._tell = tell
        # PERF: as for other jobs. A job that is rolled back has only taken a place of it.
        self._allowance = QueueAllowance()

    def __repr__(self) -> str:
        return f"<AppTransactions on {self._database.name}>"

    def write(self, connection: Connection, new: NewJob) -> BatchResult:
        """Write a new job; return whether it was refused, and what it replaces or duplicates.

        The limit of the queue counts what other transactions have committed. Several of them at
        once may exceed it: to count exactly, each would have to wait for the one before.

        Raises:
            TaskSetupError: If the connection is not to the ledger's database, or commits each
                statement.
            UnknownJob: If a job that it waits for is not there.
            LedgerError: If the database fails. The transaction can go on, unless it failed before.
        """
        for _ in range(CONFLICTS):
            try:
                return self._write_once(connection, new)
            except LedgerError as error:
                if not may_work_again(error):
                    raise
            # Another process has just committed a job with its key.
        return self._write_once(connection, new)

    def _write_once(self, connection: Connection, new: NewJob) -> BatchResult:
        try:
            with self._database.joining(connection):
                # With its own eyes: a job before this one may be of the same transaction.
                for missing in missing_jobs(connection, new.after):
                    raise UnknownJob(missing)
                batch, settled = write_with_effects(
                    _AppStatements(), connection, [new], self._allowance, self._describe
                )
                if batch.inserts:
                    notice = PARTIAL if batch.replaced or settled.stopped else JOBS
                    self._database.tell_at_commit(connection, notice, self._tell)
                return batch.result()
        except SQLAlchemyError as error:
            raise self._database.translated(error) from error


class _AppStatements:
    """Executes the statements of a batch on a connection of the program."""

    def run(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> CursorResult[Any]:
        """Execute a statement once for each row of parameters."""
        return connection.execute(statement, rows[0] if len(rows) == 1 else rows)

    def change(
        self, connection: Connection, statement: Statement, rows: Sequence[RowValues]
    ) -> None:
        """Execute a statement that returns nothing once for each row of parameters."""
        self.run(connection, statement, rows)

    def advisory_lock(self, connection: Connection, name: str) -> None:
        """Do nothing: other processes would wait for the lock until the program commits."""


def connection_of(given: Any) -> Connection:
    """Return the connection that a program has given, itself or by its session.

    Raises:
        TaskSetupError: If it is neither.
    """
    if isinstance(given, Connection):
        return given
    if hasattr(given, "run_sync"):
        raise TaskSetupError(
            f"connection={type(given).__name__} is asynchronous. Submit in its greenlet:"
            " await session.run_sync(lambda session: task.submit(..., connection=session))."
        )
    # A session, also a scoped one. It has the connection of its transaction.
    found = given.connection() if hasattr(given, "get_bind") else None
    if isinstance(found, Connection):
        return found
    raise TaskSetupError(
        f"connection={type(given).__name__} should be a Connection or a Session of SQLAlchemy:"
        " task.submit(..., connection=db.session.connection())."
    )
