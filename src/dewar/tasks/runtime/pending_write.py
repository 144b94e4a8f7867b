"""`PendingWrite`: what a thread waits on, and the operations that a process has for its ledger."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from dewar.tasks.ledger.records import (
    AttemptStart,
    NewJob,
    Outcome,
    ProgressUpdate,
    StopRequest,
)
from dewar.tasks.runtime.attempt import Dispatch


class PendingWrite:
    """What a thread waits on until its operation is written."""

    __slots__ = ("_error", "_gate", "_took_effect")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        self._took_effect = False
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"<PendingWrite {'waiting' if self._gate.locked() else 'settled'}>"

    def settle(self, took_effect: bool, error: Exception | None = None) -> None:
        """Let the waiting thread continue. Called once.

        Args:
            took_effect: Whether it did: a job may be refused, a start may come too late.
            error: Why it could not be written.
        """
        self._took_effect = took_effect
        self._error = error
        self._gate.release()

    def wait(self) -> bool:
        """Wait until it is written; return whether it took effect. One thread may wait.

        Raises:
            TasksError: If it could not be written.
        """
        self._gate.acquire()
        if self._error is not None:
            raise self._error
        return self._took_effect


#: What a thread waits for.
AwaitedOperation = NewJob | AttemptStart
Operation = AwaitedOperation | ProgressUpdate | StopRequest | Outcome | Dispatch
#: An operation, with what a thread waits on if one does.
Entry = tuple[Operation, PendingWrite | None]


class OperationWriter(Protocol):
    """Writes the operations of a process. Any thread may call any method."""

    #: Whether operations that are waited for follow each other closely.
    is_busy: bool

    def start(self, on_idle: Callable[[], float], longest_pause: float) -> None:
        """Begin; see `LedgerWriter.start`."""

    def put(self, operation: Operation, is_due: bool = False) -> None:
        """Have an operation written soon, or at once."""

    def flush(self) -> None:
        """Have everything written that was put."""

    def write(self, new: NewJob) -> bool:
        """Write a new job; return whether it was accepted."""

    def write_all(self, operations: Sequence[AwaitedOperation]) -> list[bool]:
        """Write operations; return for each whether it took effect."""

    def wait_written(self) -> None:
        """Wait for what another thread is writing, and for what follows from it."""

    def wake(self) -> None:
        """Have what is due done soon."""

    def stop(self, timeout: float) -> bool:
        """Write what waits and end; return whether all was written within `timeout` seconds."""


#: Makes a writer of a function that writes entries, and one that writes a new job.
MakeWriter = Callable[
    [Callable[[Sequence[Entry]], None], Callable[[NewJob], bool]], OperationWriter
]
