"""`LedgerWriter`: writes what the threads of a process have for the ledger, many things at a time.

1. **Group commit.** A thread that waits for its operation writes it itself, in one transaction with
   all that waits; where another thread is writing already, that one, or the writer's own thread
   after it, writes for both. So twenty submissions at the same time cost one transaction, and a
   lone one costs no change of threads.
2. What nobody waits for (a job begins, ends, is half way) is lazy: while urgent things keep coming
   it is put off for some milliseconds, and the writer's own thread writes it together. So is
   giving jobs to the pool, which is nothing for the ledger.
   PERF: threads that take turns at every job spend most of the time on the turns.
3. `write` is called by one thread at a time, which holds `_writing`; `on_idle` by the writer's own
   thread alone. Of one kind, urgent or lazy, what was put first is written first; nothing urgent
   depends on something lazy.
4. What was put is not forgotten before it is written: where the database fails, new jobs are
   refused with the error, and everything else is tried again.
5. Any thread may stop it, and its own thread ends it; so its state changes under `_changing`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum

from dewar.tasks.errors import TasksError
from dewar.tasks.ledger.records import AttemptStart, NewJob, Outcome, ProgressUpdate
from dewar.tasks.runtime.attempt import Dispatch

Operation = NewJob | AttemptStart | ProgressUpdate | Outcome | Dispatch

_logger = logging.getLogger("dewar.tasks")
# The pauses after a failed transaction, in seconds: from the first to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# The most in one transaction; other processes want to write too.
_MAX_BATCH = 500
# How long lazy things are put off at most, and for how long after an urgent one, in seconds.
_MAX_DELAY, _QUIET_TIME = 0.02, 0.003

_TOO_LATE = (
    "This process has ended its part in the tasks, so it takes no more of them. Submit before"
    " tasks.stop(), or call tasks.start() to begin again."
)


class PendingWrite:
    """What a thread waits on until its operation is written."""

    __slots__ = ("_gate", "error", "took_effect")

    def __init__(self) -> None:
        self._gate = threading.Lock()
        self._gate.acquire()
        #: Whether it took effect: a job may be refused, a start come too late.
        self.took_effect = False
        self.error: Exception | None = None

    def settle(self, took_effect: bool, error: Exception | None = None) -> None:
        """Let the waiting thread go on. Called once."""
        self.took_effect = took_effect
        self.error = error
        self._gate.release()

    def wait(self) -> bool:
        """Wait until it is written; return whether it took effect. One thread may wait.

        Raises:
            TasksError: If it could not be written.
        """
        self._gate.acquire()
        if self.error is not None:
            raise self.error
        return self.took_effect


Entry = tuple[Operation, PendingWrite | None]


class WriterState(Enum):
    """One writer's life."""

    OPEN = "takes operations"
    STOPPING = "writes at once what waits, and ends"
    ENDED = "writes nothing more, and takes nothing"


_OPEN, _STOPPING, _STOPPED_TEXT = WriterState.OPEN, WriterState.STOPPING, WriterState.ENDED

# From OPEN to ENDED at once where its thread fails.
MOVES: dict[WriterState, frozenset[WriterState]] = {
    _OPEN: frozenset({_STOPPING, _STOPPED_TEXT}),
    _STOPPING: frozenset({_STOPPED_TEXT}),
    _STOPPED_TEXT: frozenset(),
}


class LedgerWriter:
    """Collects operations and writes them.

    Args:
        write: Writes entries in one transaction and settles their tickets; what it raises means
            that nothing was written.
        on_idle: Called between the writing; returns the seconds until it wants to be called again.
    """

    def __init__(
        self, write: Callable[[Sequence[Entry]], None], on_idle: Callable[[], float]
    ) -> None:
        self._write = write
        self._on_idle = on_idle
        self._urgent: deque[Entry] = deque()
        self._lazy: deque[Entry] = deque()
        self._writing = threading.Lock()
        self._wakeup = threading.Event()
        self._changing = threading.Lock()
        self._woken = False
        self._failures = 0
        # When something of either kind was last written.
        self._urgent_at = self._lazy_at = 0.0
        #: Any thread may read it.
        self.state = _OPEN
        #: Whether urgent things come one upon the other. Who writes sets it.
        self.is_busy = False
        self._thread = threading.Thread(target=self._run, name="dewar-tasks-writer", daemon=True)

    def __repr__(self) -> str:
        alive = "running" if self._thread.is_alive() else "not running"
        return f"<LedgerWriter {self.state.name}, {alive}, {self.waiting} waiting>"

    @property
    def waiting(self) -> int:
        """How many operations wait to be written."""
        return len(self._urgent) + len(self._lazy)

    def start(self) -> None:
        """Begin; call once."""
        self._thread.start()

    def put(self, operation: Operation) -> None:
        """Have an operation written soon."""
        self._lazy.append((operation, None))
        # PERF: where others wait the thread has set itself a time, and need not be woken for each.
        if len(self._lazy) <= 1 or self.state is not _OPEN:
            self._wakeup.set()

    def write(self, operation: Operation) -> bool:
        """Write an operation, with what else waits; return whether it took effect.

        Raises:
            TasksError: If it could not be written.
        """
        return self.write_all([operation])[0]

    def write_all(self, operations: Sequence[Operation]) -> list[bool]:
        """Write operations, with what else waits; return of each whether it took effect.

        Raises:
            TasksError: If one could not be written; others may have been.
        """
        tickets = [PendingWrite() for _ in operations]
        self._urgent.extend(zip(operations, tickets, strict=True))
        if self.state is _STOPPED_TEXT:
            self._fail_waiting()
        elif self._writing.acquire(blocking=False):
            try:
                self._write_some(time.monotonic())
            finally:
                self._writing.release()
            # Who came meanwhile has left it to the thread that wrote.
            if self._urgent:
                self._wakeup.set()
        else:
            self._wakeup.set()
        return [ticket.wait() for ticket in tickets]

    def wake(self) -> None:
        """Have `on_idle` called soon."""
        self._woken = True
        self._wakeup.set()

    def stop(self, timeout: float) -> bool:
        """Write what waits and end; return whether all was written within `timeout` seconds."""
        with self._changing:
            if self.state is _OPEN:
                self._move(_STOPPING)
        self._wakeup.set()
        if self._thread is not threading.current_thread():
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._run_loop()
        finally:
            # In this order: what is put from now on is given up by who puts it.
            with self._changing:
                self._move(_STOPPED_TEXT)
            self._fail_waiting()

    def _move(self, state: WriterState) -> None:
        if state not in MOVES[self.state]:
            raise TasksError(f"{self!r} cannot become {state.name}.")
        self.state = state

    def _run_loop(self) -> None:
        due = 0.0
        while self.state is _OPEN or self.waiting:
            self._wait(due)
            self._wakeup.clear()
            failures = self._failures
            with self._writing:
                now = time.monotonic()
                if self._urgent or (self._lazy and now >= self._lazy_due()):
                    self._write_some(now)
            if self._failures > failures:
                self._back_off()
            if self._woken or time.monotonic() >= due:
                self._woken = False
                due = time.monotonic() + self._idle_safely()

    def _back_off(self) -> None:
        if self.state is not _OPEN and self._failures > 1:
            _logger.error("%d entries for the ledger could not be written", self.waiting)
            self._fail_waiting()
        elif self.waiting:
            time.sleep(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures, 10)))

    def _wait(self, due: float) -> None:
        if self._lazy:
            due = min(due, self._lazy_due())
        if not self._urgent:
            self._wakeup.wait(max(0.0, due - time.monotonic()))

    def _lazy_due(self) -> float:
        """Return when lazy things are to be written, if nothing urgent comes."""
        if self.state is not _OPEN or len(self._lazy) >= _MAX_BATCH:
            return 0.0
        return min(self._urgent_at + _QUIET_TIME, self._lazy_at + _MAX_DELAY)

    def _write_some(self, now: float) -> None:
        entries = _pop_up_to(self._urgent, _MAX_BATCH)
        if entries:
            self.is_busy = now - self._urgent_at < _QUIET_TIME
            self._urgent_at = now
        if now >= self._lazy_due():
            entries += _pop_up_to(self._lazy, _MAX_BATCH)
            self._lazy_at = now
        try:
            self._write(entries)
        except Exception as error:  # noqa: BLE001  # of new jobs it is told to who submits them
            self._failures += 1
            self._put_back(entries, error)
        else:
            self._failures = 0

    def _put_back(self, entries: Sequence[Entry], error: Exception) -> None:
        _logger.error("The ledger cannot be written: %s", error)
        for operation, ticket in reversed(entries):
            if ticket is None:
                self._lazy.appendleft((operation, ticket))
            elif isinstance(operation, NewJob):
                ticket.settle(took_effect=False, error=error)
            else:
                self._urgent.appendleft((operation, ticket))

    def _fail_waiting(self) -> None:
        """Let nobody wait for what will not be written."""
        self._lazy.clear()
        with suppress(IndexError):
            while True:
                _, ticket = self._urgent.popleft()
                if ticket is not None:
                    ticket.settle(took_effect=False, error=TasksError(_TOO_LATE))

    def _idle_safely(self) -> float:
        try:
            return self._on_idle()
        except Exception:
            _logger.exception("Looking after the ledger failed; it is tried again")
            return _LONGEST_PAUSE


def _pop_up_to(queue: deque[Entry], most: int) -> list[Entry]:
    return [queue.popleft() for _ in range(min(len(queue), most))]
