"""`DirectWriter`: writes each operation at once, in the thread that has it. For tests."""

from collections.abc import Callable, Sequence
from threading import RLock

from dewar.tasks.ledger.records import NewJob
from dewar.tasks.runtime.pending_write import AwaitedOperation, Entry, Operation, PendingWrite
from dewar.tasks.runtime.separate_writes import SeparateWrites


class DirectWriter:
    """Does what a `LedgerWriter` does, without a thread and without waiting for more.

    Args:
        write: As for the `LedgerWriter`.
        write_new: The same.
    """

    waiting = 0
    is_busy = False

    def __init__(
        self, write: Callable[[Sequence[Entry]], None], write_new: Callable[[NewJob], bool]
    ) -> None:
        self._write_entries = write
        self._write_new = write_new
        self._separate = SeparateWrites(write)
        # What follows from an operation may be another one.
        self._writing = RLock()

    def __repr__(self) -> str:
        return "<DirectWriter>"

    def start(self, on_idle: Callable[[], float], longest_pause: float) -> None:
        """Do nothing: who runs the jobs calls `on_idle` as well."""

    def put(self, operation: Operation, is_due: bool = False) -> None:  # noqa: ARG002  # it is due
        """Write an operation."""
        self._write([(operation, None)])

    def write(self, new: NewJob) -> bool:
        """Write a new job; return whether it was accepted."""
        with self._writing:
            return self._write_new(new)

    def write_all(self, operations: Sequence[AwaitedOperation]) -> list[bool]:
        """Write operations; return for each whether it took effect."""
        tickets = [PendingWrite() for _ in operations]
        self._write(list(zip(operations, tickets, strict=True)))
        return [ticket.wait() for ticket in tickets]

    def flush(self) -> None:
        """Do nothing: all is written."""

    def wait_written(self) -> None:
        """See `LedgerWriter.wait_written`."""
        with self._writing:
            pass

    def wake(self) -> None:
        """Do nothing: nobody sleeps."""

    def stop(self, timeout: float) -> bool:  # noqa: ARG002  # as the other's
        """Do nothing: all is written."""
        return True

    def _write(self, entries: Sequence[Entry]) -> None:
        with self._writing:
            try:
                self._write_entries(entries)
            except Exception as error:  # noqa: BLE001  # raised for who submits; others are replaced
                self._write_separately(entries, error)

    def _write_separately(self, entries: Sequence[Entry], error: Exception) -> None:
        for _, ticket in self._separate.run(entries, error):
            if ticket is not None:
                ticket.settle(took_effect=False, error=error)
