"""`SignalSender`: calls the receivers of the signals that tell of jobs.

Rules for the file:

- A signal is sent after the commit, by the process that has made it, in the order of the commits.
- Receivers are called on one thread of the process, in a context of the app. So a slow one delays
  the signals after it, and nothing else; one that raises is logged, and the others are called.
- While too many signals wait for slow receivers, new ones are dropped, and the log says so.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from blinker import Signal

from dewar.loop.call_queue import CallQueue
from dewar.support.bounded_log import BoundedLog
from dewar.tasks.directory import TaskDirectory
from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import JobRecord
from dewar.tasks.status import JobStatus

_logger = logging.getLogger("dewar.tasks")
#: The most signals that wait for receivers.
_MAX_WAITING = 10_000

#: Returns what to send, each with the record of its job. It may read the ledger.
FindSignals = Callable[[], Sequence[tuple[Signal, JobRecord]]]


class SignalSender:
    """Sends the signals of one runtime. Any thread may call any method.

    Args:
        directory: The tasks, and their app.
        most: How many signals may wait.
    """

    def __init__(self, directory: TaskDirectory, most: int = _MAX_WAITING) -> None:
        self._directory = directory
        self._most = most
        self._queue = CallQueue("dewar-tasks-signals")
        self._log = BoundedLog(_logger, time.monotonic)
        # Two threads may count at once: the number is a bound, and need not be exact.
        self._given = self._sent = 0

    def __repr__(self) -> str:
        return f"<SignalSender, {self._given - self._sent} waiting>"

    def send_soon(self, find: FindSignals) -> None:
        """Send what a function returns. It is called on the thread of the signals."""
        if self._given - self._sent >= self._most:
            self._log.warn(
                "Signals of jobs are dropped: %d wait for their receivers. Let a receiver do less,"
                " such as to submit a job.",
                self._most,
            )
            return
        self._given += 1
        self._queue.call_soon(self._send_found, find)

    def close(self, timeout: float) -> None:
        """Send what waits, for at most so many seconds."""
        self._queue.close(timeout)

    def _send_found(self, find: FindSignals) -> None:
        self._sent += 1
        try:
            found = find()
        except LedgerError as error:
            self._log.warn("Signals of jobs are not sent, because this failed: %s", error)
            return
        for signal, record in found:
            self.send(signal, record)

    def send(self, signal: Signal, record: JobRecord) -> None:
        """Call the receivers of a signal, here and now."""
        directory = self._directory
        sender: Any = directory.app or directory.declared_in()
        receivers = list(signal.receivers_for(sender))
        if not receivers:
            return
        status = JobStatus.of(record, directory.json.loads)
        with self._context():
            for receiver in receivers:
                try:
                    directory.ensure_sync(receiver)(sender, job=status)
                except Exception:
                    _logger.exception("A receiver of %r has failed: %r", signal, receiver)

    def _context(self) -> AbstractContextManager[Any]:
        app = self._directory.app
        context: AbstractContextManager[Any] = nullcontext() if app is None else app.app_context()
        return context
