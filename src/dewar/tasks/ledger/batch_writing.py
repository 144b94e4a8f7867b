"""`BatchWriter`: writes the operations of one process in transactions, each once."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.batch import Batch, LedgerOperation
from dewar.tasks.ledger.columns import row_of
from dewar.tasks.ledger.database import Database, StatementRunner, may_work_again
from dewar.tasks.ledger.dependencies import settle
from dewar.tasks.ledger.due_column import shift_of
from dewar.tasks.ledger.outbox_insert import Describe, insert_entries
from dewar.tasks.ledger.queue_allowance import QueueAllowance
from dewar.tasks.ledger.records import BatchResult, NewJob, Settled
from dewar.tasks.ledger.rows import write_batch
from dewar.tasks.ledger.statements import INSERT, INSERT_PLAIN

_ALL_APPLIED = BatchResult(refused=(), fenced=())
#: How often what has a conflict is written again.
CONFLICTS = 10


def write_with_effects(
    database: StatementRunner,
    connection: Connection,
    items: Sequence[LedgerOperation],
    allowance: QueueAllowance,
    describe: Describe,
    *,
    is_again: bool = False,
) -> tuple[Batch, Settled]:
    """Write a batch, and what follows from it: callbacks, and the ends of what waits for others.

    Args:
        database: As the other arguments, as for `dewar.tasks.ledger.rows.write_batch`.
        connection: A connection in a transaction.
        items: The operations, in order.
        allowance: The jobs that may be accepted without counting.
        describe: Makes the bodies of callbacks.
        is_again: Whether the new jobs may already be there.
    """
    batch = write_batch(database, connection, items, allowance, is_again=is_again)
    settled = settle(connection, batch.ended, batch.ended_at, describe)
    insert_entries(connection, batch.outbox, describe)
    return batch, settled


class _RefusedError(Exception):
    """Ends the transaction of jobs that are accepted together, if one is not."""

    def __init__(self, judged: Batch) -> None:
        super().__init__()
        self.judged = judged


class BatchWriter:
    """Writes batches, and counts what was written. Any thread may use it.

    Args:
        database: The database of the ledger.
        note_settled: Called after a commit with what became of jobs that waited for others.
    """

    def __init__(
        self, database: Database, note_settled: Callable[[Settled], object] = bool
    ) -> None:
        self._database = database
        self._note_settled = note_settled
        self._allowance = QueueAllowance()
        self.batches = self.items = self.refused = self.fenced = 0

    def __repr__(self) -> str:
        return f"<BatchWriter, {self.items} items in {self.batches} batches>"

    def write(self, batch: Sequence[LedgerOperation], describe: Describe) -> BatchResult:
        """Write a batch; see `dewar.tasks.ledger.ledger.Ledger.write`."""
        if not batch:
            return _ALL_APPLIED
        try:
            if len(batch) == 1 and self._try_write_alone(batch[0]):
                return _ALL_APPLIED
            judged = self._write(batch, describe)
        except LedgerError as error:
            if not may_work_again(error):
                raise
            judged = self._write_again(batch, describe)
        return self._counted(batch, judged)

    def write_together(
        self, batch: Sequence[NewJob], describe: Describe, note: Callable[[Connection], object]
    ) -> BatchResult:
        """Write new jobs in one transaction, or none if one is refused or a duplicate.

        Args:
            batch: The jobs.
            describe: Makes the bodies of callbacks.
            note: Writes what belongs to them, in the same transaction.
        """
        try:
            try:
                judged = self._write(batch, describe, note)
            except LedgerError as error:
                if not may_work_again(error):
                    raise
                judged = self._write_again(batch, describe, note)
        except _RefusedError as refused:
            return refused.judged.result()
        return self._counted(batch, judged)

    def _counted(self, batch: Sequence[LedgerOperation], judged: Batch) -> BatchResult:
        self.batches += 1
        self.items += len(batch)
        self.refused += len(judged.refused)
        self.fenced += len(judged.fenced)
        return judged.result()

    def _try_write_alone(self, new: LedgerOperation) -> bool:
        """Write a lone new job that needs no check; return whether it was one.

        PERF: most submits are this. A single statement is its own transaction, in half the time.
        """
        if not isinstance(new, NewJob) or new.unique_key is not None or new.after:
            return False
        if new.max_queue is not None and not self._allowance.take(new.task, 1):
            return False
        row = row_of(new, shift_of(new.queue, limited=new.limited))
        self._database.write_one(INSERT if "queue" in row else INSERT_PLAIN, row)
        self.batches += 1
        self.items += 1
        return True

    def _write_again(
        self,
        items: Sequence[LedgerOperation],
        describe: Describe,
        note: Callable[[Connection], object] | None = None,
    ) -> Batch:
        """Write a batch with a job whose id or key may be there already.

        If the id is, writing it succeeded earlier, but seemed to fail. If the key is, another
        process has just accepted a job with it, and may do so again after each look.
        """
        for _ in range(CONFLICTS):
            try:
                return self._write(items, describe, note, is_again=True)
            except LedgerError as error:
                if not may_work_again(error):
                    raise
        return self._write(items, describe, note, is_again=True)

    def _write(
        self,
        items: Sequence[LedgerOperation],
        describe: Describe,
        note: Callable[[Connection], object] | None = None,
        *,
        is_again: bool = False,
    ) -> Batch:
        with self._database.writing() as connection:
            judged, settled = write_with_effects(
                self._database, connection, items, self._allowance, describe, is_again=is_again
            )
            if note is not None:
                if judged.refused or judged.duplicates:
                    raise _RefusedError(judged)
                note(connection)
        if settled:
            self._note_settled(settled)
        return judged
