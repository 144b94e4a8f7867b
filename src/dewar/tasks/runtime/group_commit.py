"""`LedgerWriter`: writes what the threads of a process have for the ledger, in few transactions.

1. **Group commit.** A thread that waits for its operation writes it itself, in one transaction with
   everything that waits. If another thread is writing already, that one, or the writer's own thread
   after it, writes for both. So twenty submissions at the same time cost one transaction, and a
   single one costs no change of threads.
2. What nobody waits for (a job begins, ends, reports progress) is lazy: it is put off for some
   milliseconds, and the writer's own thread writes it together. The same holds for giving jobs to
   the engine, which writes nothing. It is due at once if somebody waits for a job by now.
   PERF: threads that take turns at every job spend most of the time on the turns.
3. `write` and `write_new` are called by one thread at a time, which holds `_writing`; `on_idle` by
   the writer's own thread alone. Within one kind, urgent or lazy, operations are written in the
   order in which they were put. Nothing urgent depends on something lazy.
4. If a transaction fails, its jobs are written one by one: see `SeparateWrites`. If the database
   is away, new jobs are refused with the error, and everything else is tried again.
5. Any thread may stop it, and its own thread ends it; so its state changes under `_changing`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from dewar.support.background_thread import BackgroundThread
from dewar.support.backoff import doubled
from dewar.tasks.engines.settle import start_thread
from dewar.tasks.errors import LedgerError, TasksError
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.runtime.lazy_operations import LazyOperations
from dewar.tasks.runtime.pending_write import AwaitedOperation, Entry, Operation, PendingWrite
from dewar.tasks.runtime.separate_writes import SeparateWrites
from dewar.tasks.runtime.writer_state import MOVES, WriterState

_logger = logging.getLogger("dewar.tasks")
_OPEN, _STOPPING, _ENDED = WriterState
# The pauses after a failed transaction, in seconds: the first and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
# The most operations in one transaction, because other processes write too.
_MAX_BATCH = 500
# Urgent operations that follow each other within this time come closely, in seconds.
_QUIET_TIME = 0.003

_TOO_LATE = (
    "This process has stopped running tasks, so it accepts no more jobs. Submit before"
    " tasks.stop(), or call tasks.start() to begin again."
)


class LedgerWriter:
    """Collects operations and writes them.

    Args:
        write: Writes entries in one transaction and settles those that somebody waits for. If it
            raises, nothing was written.
        write_new: Writes a new job by itself, if nothing else waits; returns whether it was
            accepted. If it raises, nothing was written.
    """

    def __init__(
        self, write: Callable[[Sequence[Entry]], None], write_new: Callable[[NewJob], bool]
    ) -> None:
        self._write_entries = write
        self._write_new = write_new
        self._separate = SeparateWrites(write)
        self._on_idle: Callable[[], float] = lambda: _LONGEST_PAUSE
        self._urgent: deque[Entry] = deque()
        self._lazy = LazyOperations(_MAX_BATCH)
        self._writing = threading.Lock()
        self._wakeup, self._stop_requested = threading.Event(), threading.Event()
        self._changing = threading.Lock()
        self._woken, self._failures = False, 0
        self._longest_pause = _LONGEST_PAUSE
        self._idle_error = ""
        self._urgent_at = 0.0  # when an urgent operation was last written
        #: Any thread may read it.
        self.state = _OPEN
        #: Whether urgent operations follow each other closely. The thread that writes sets it.
        self.is_busy = False
        self._thread = BackgroundThread("dewar-tasks-writer", self._run)

    def __repr__(self) -> str:
        return f"<LedgerWriter {self.state.name}, {self._thread!r}, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        """How many operations wait to be written."""
        return len(self._urgent) + len(self._lazy)

    def start(self, on_idle: Callable[[], float], longest_pause: float = _LONGEST_PAUSE) -> None:
        """Begin; call once.

        Args:
            on_idle: Called between the writing; returns the seconds until the next call.
            longest_pause: The most seconds until the next try after a failure.

        Raises:
            ThreadRefused: If the system starts no thread.
        """
        self._on_idle = on_idle
        self._longest_pause = min(longest_pause, _LONGEST_PAUSE)
        start_thread(self._thread, repr(self))

    def put(self, operation: Operation, is_due: bool = False) -> None:
        """Have an operation written soon; if it is due, at once, with all that was put before."""
        if self._lazy.put(operation, is_due) or self.state is not _OPEN:
            self._wakeup.set()

    def flush(self) -> None:
        """Have everything written that was put, by this thread if no other one is writing."""
        if self._lazy and self.state is _OPEN:
            self._lazy.hurry()
            self._write_here()

    def write(self, new: NewJob) -> bool:
        """Write a new job, with everything that waits; return whether it was accepted.

        PERF: a thread that finds nobody else here needs neither a queue nor a ticket.

        Raises:
            TasksError: If it could not be written.
        """
        if (
            self._urgent
            or self.state is not _OPEN
            or (self._lazy and time.monotonic() >= self._lazy_due())
            or not self._writing.acquire(blocking=False)
        ):
            return self.write_all([new])[0]
        try:
            self._note_urgent(time.monotonic())
            is_accepted = self._write_new(new)
            self._failures = 0
        except Exception as error:
            self._note_failure(error)
            raise
        finally:
            self._release()
        return is_accepted

    def write_all(self, operations: Sequence[AwaitedOperation]) -> list[bool]:
        """Write operations, with everything that waits; return for each whether it took effect.

        Raises:
            TasksError: If one could not be written; others may have been.
        """
        tickets = [PendingWrite() for _ in operations]
        self._urgent.extend(zip(operations, tickets, strict=True))
        if self.state is _ENDED:
            self._fail_waiting()
        else:
            self._write_here()
        return [ticket.wait() for ticket in tickets]

    def wait_written(self) -> None:
        """Wait for what another thread is writing, and for what follows from it."""
        with self._writing:
            pass

    def _write_here(self) -> None:
        """Write what is due, unless another thread writes; that one is followed by the writer's."""
        if self._writing.acquire(blocking=False):
            try:
                self._write_some(time.monotonic())
            finally:
                self._release()
        else:
            self._wakeup.set()

    def wake(self) -> None:
        """Have `on_idle` called soon."""
        self._woken = True
        self._wakeup.set()

    def stop(self, timeout: float) -> bool:
        """Write what waits and end; return whether all was written within `timeout` seconds."""
        with self._changing:
            if self.state is _OPEN:
                self._move(_STOPPING)
        self._stop_requested.set()
        self._wakeup.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._run_loop()
        finally:
            # In this order: the thread that puts an operation from now on refuses it by itself.
            with self._changing:
                self._move(_ENDED)
            self._fail_waiting()

    def _move(self, state: WriterState) -> None:
        if state not in MOVES[self.state]:
            raise TasksError(f"{self!r} cannot become {state.name}.")
        self.state = state

    def _run_loop(self) -> None:
        due = 0.0
        while self.state is _OPEN or self.waiting:
            try:
                due = self._write_and_idle(due)
            except Exception as error:
                # A process without this thread would keep its jobs, and never end or run any.
                _logger.exception("The thread that writes the ledger failed; it goes on")
                self._note_failure(error)
                self._back_off()

    def _write_and_idle(self, due: float) -> float:
        """Wait, write, and do the maintenance if it is due; return when it is due next."""
        self._wait(due)
        self._wakeup.clear()
        failures = self._failures
        with self._writing:
            now = time.monotonic()
            if self._urgent or (self._lazy and now >= self._lazy_due()):
                self._write_some(now)
        if self._failures > failures and self.waiting:
            self._back_off()
        if self._woken or time.monotonic() >= due:
            self._woken = False
            due = time.monotonic() + self._idle_safely()
        return due

    def _back_off(self) -> None:
        if self.state is not _OPEN and self._failures > 1:
            _logger.error("%d operations for the ledger could not be written", self.waiting)
            self._fail_waiting()
        else:
            until = self._stop_requested if self.state is _OPEN else self._wakeup
            until.wait(doubled(_FIRST_PAUSE, self._failures, self._longest_pause))

    def _wait(self, due: float) -> None:
        if self._lazy:
            due = min(due, self._lazy_due())
        if not self._urgent:
            self._wakeup.wait(max(0.0, due - time.monotonic()))

    def _lazy_due(self) -> float:
        """Return when lazy operations are to be written, if nothing urgent comes."""
        return self._lazy.due(self._urgent_at) if self.state is _OPEN else 0.0

    def _write_some(self, now: float) -> None:
        entries = [self._urgent.popleft() for _ in range(min(len(self._urgent), _MAX_BATCH))]
        if entries:
            self._note_urgent(now)
        if now >= self._lazy_due():
            entries += self._lazy.take(now)
        try:
            self._write_entries(entries)
        except Exception as error:  # noqa: BLE001  # raised for the threads that submit new jobs
            self._note_failure(error)
            self._put_back(entries, error)
        else:
            if self._failures:
                self._failures = 0
                self._separate.clear()

    def _note_urgent(self, now: float) -> None:
        self.is_busy = now - self._urgent_at < _QUIET_TIME
        self._urgent_at = now

    def _release(self) -> None:
        self._writing.release()
        # An operation that came meanwhile was left to the thread that wrote.
        if self._urgent:
            self._wakeup.set()

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:  # an outage fails each try
            _logger.error("The ledger cannot be written: %s", error)

    def _put_back(self, entries: Sequence[Entry], error: Exception) -> None:
        """Write the entries of a failed batch separately, and put back what is left."""
        kept = self._separate.run(entries, error)
        if len(kept) < len(entries):
            self._failures = min(self._failures, 1)  # It works, at least for others.
        kept.reverse()
        self._urgent.extendleft(entry for entry in kept if entry[1] is not None)
        self._lazy.put_back(entry for entry in kept if entry[1] is None)

    def _fail_waiting(self) -> None:
        """Refuse everything that waits, since it will not be written."""
        self._lazy.clear()
        with suppress(IndexError):
            while True:
                _, ticket = self._urgent.popleft()
                if ticket is not None:
                    ticket.settle(took_effect=False, error=TasksError(_TOO_LATE))

    def _idle_safely(self) -> float:
        try:
            pause = self._on_idle()
        except LedgerError as error:
            # An outage fails each try in the same way.
            if str(error) != self._idle_error:
                _logger.warning("The ledger cannot be used, and is tried again: %s", error)
            self._idle_error = str(error)
            return self._longest_pause
        except Exception:
            _logger.exception("The maintenance of the ledger failed; it is tried again")
            return self._longest_pause
        if self._idle_error:
            _logger.warning("The ledger can be used again")
            self._idle_error = ""
        return pause
