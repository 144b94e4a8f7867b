"""`ReturnedJobs`: gives jobs back to the ledger that this process has claimed and does not run."""

import logging
import time
from collections import deque

from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.ledger import Ledger

_logger = logging.getLogger("dewar.tasks")
# The seconds without the same warning again.
_QUIET = 60.0


class ReturnedJobs:
    """Gives jobs back to the ledger, later if it is not there now.

    Any thread may call any method.

    Args:
        ledger: The ledger.
        owner: The id of this process in it.
    """

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._ids: deque[str] = deque()
        self._warned = ("", 0.0)

    def __repr__(self) -> str:
        return f"<ReturnedJobs, {len(self._ids)} to give back>"

    def add(self, id: str) -> None:
        """Give a job back."""
        self._ids.append(id)
        self.flush()

    def flush(self) -> None:
        """Give back what could not be given back before. It never fails."""
        ids = [self._ids.popleft() for _ in range(len(self._ids))]
        if not ids:
            return
        try:
            self._ledger.release(self._owner, ids)
        except LedgerError as error:
            self._ids.extend(ids)
            self.warn(f"Jobs cannot be given back to the ledger yet: {error}")

    def warn(self, message: str) -> None:
        """Log why jobs have to wait, unless the same was logged a short time ago."""
        now = time.monotonic()
        known, since = self._warned
        if message != known or now - since > _QUIET:
            self._warned = (message, now)
            _logger.warning("%s", message)
