"""`Writer`: the one thread of a process that writes into the ledger, many things at a time.

1. Whatever waits when the thread looks is written in one transaction, so that twenty submissions
   at the same time cost one. This is what makes the ledger quick.
2. Only the writer's thread calls `write` and `rest`. Any thread may `put`.
3. What was put is written in the order it was put, and is not forgotten before it is: where the
   database fails, new jobs are refused with the error and everything else is tried again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from dewar.tasks.errors import TasksError
from dewar.tasks.ledger.records import NewJob, Outcome, Start, Update

__all__ = ["Entry", "Operation", "Ticket", "Writer"]

Operation = NewJob | Start | Update | Outcome

_logger = logging.getLogger("dewar.tasks")
# The pauses after a failed transaction, in seconds: from the first to the longest.
_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_ENDED = (
    "This process has ended its part in the tasks, so it takes no more of them. Submit before"
    " tasks.stop(), or call tasks.start() to begin again."
)
# The most in one transaction; other processes want to write too.
_MOST = 500


class Ticket:
    """What a thread waits on until its operation is written."""

    __slots__ = ("_gate", "counted", "error")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        #: Whether it took effect: a job may be refused, a start or an outcome come too late.
        self.counted = False
        self.error: Exception | None = None

    def settle(self, counted: bool, error: Exception | None = None) -> None:
        """Let the waiting thread go on. The writer calls it, once."""
        self.counted = counted
        self.error = error
        self._gate.release()

    def wait(self) -> bool:
        """Wait until it is written; return whether it took effect. One thread may wait.

        Raises:
            LedgerError: where the database failed.
        """
        self._gate.acquire()
        if self.error is not None:
            raise self.error
        return self.counted


Entry = tuple[Operation, Ticket | None]


class Writer:
    """Collects operations and writes them.

    Args:
        write: Writes entries in one transaction and settles their tickets; what it raises means
            that nothing was written.
        rest: Called between the writing; returns the seconds until it wants to be called again.
    """

    def __init__(
        self, write: Callable[[Sequence[Entry]], None], rest: Callable[[], float]
    ) -> None:
        self._write = write
        self._rest = rest
        self._waiting: deque[Entry] = deque()
        self._wake = threading.Event()
        self._nudged = False
        self._ending = False
        self._ended = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="dewar-tasks-writer", daemon=True)

    def __repr__(self) -> str:
        state = "ending" if self._ending else "running" if self._thread.is_alive() else "not running"
        return f"<Writer {state}, {len(self._waiting)} waiting>"

    @property
    def waiting(self) -> int:
        """How many operations wait to be written."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin; call once."""
        self._thread.start()

    def put(self, operation: Operation, ticket: Ticket | None = None) -> None:
        """Have an operation written soon."""
        self._waiting.append((operation, ticket))
        if self._ended:
            self._give_up()
        self._wake.set()

    def nudge(self) -> None:
        """Have `rest` called soon."""
        self._nudged = True
        self._wake.set()

    def stop(self, timeout: float) -> bool:
        """Write what waits and end; return whether all was written within `timeout` seconds."""
        self._ending = True
        self._wake.set()
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            # In this order: what is put from now on is given up by who puts it.
            self._ended = True
            self._give_up()

    def _give_up(self) -> None:
        """Let nobody wait for what will not be written."""
        with suppress(IndexError):
            while True:
                _, ticket = self._waiting.popleft()
                if ticket is not None:
                    ticket.settle(counted=False, error=TasksError(_ENDED))

    def _serve(self) -> None:
        due = 0.0
        while True:
            if not self._waiting:
                self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            if self._waiting:
                self._write_some()
            elif self._ending:
                return
            if self._nudged or time.monotonic() >= due:
                self._nudged = False
                due = time.monotonic() + self._rest_safely()

    def _write_some(self) -> None:
        waiting = self._waiting
        entries = [waiting.popleft() for _ in range(min(len(waiting), _MOST))]
        try:
            self._write(entries)
        except Exception as error:
            self._failures += 1
            self._put_back(entries, error)
            if self._ending and self._failures > 1:
                _logger.exception("%d entries for the ledger could not be written", len(waiting))
                self._give_up()
            if waiting:
                time.sleep(min(_LONGEST_PAUSE, _PAUSE * 2 ** min(self._failures, 10)))
        else:
            self._failures = 0

    def _put_back(self, entries: Sequence[Entry], error: Exception) -> None:
        _logger.error("The ledger can't be written: %s", error)
        kept = []
        for operation, ticket in entries:
            if isinstance(operation, NewJob) and ticket is not None:
                ticket.settle(counted=False, error=error)
            else:
                kept.append((operation, ticket))
        self._waiting.extendleft(reversed(kept))

    def _rest_safely(self) -> float:
        try:
            return self._rest()
        except Exception:
            _logger.exception("Looking after the ledger failed; it is tried again")
            return _LONGEST_PAUSE
