"""`ReturnedJobs`: gives jobs back to the ledger that this process has claimed and does not run."""

import logging
import time
from collections import deque

from dewar.support.bounded_log import BoundedLog
from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.ledger import Ledger

_logger = logging.getLogger("dewar.tasks")


class ReturnedJobs:
    """Gives jobs back to the ledger, later if it is not there now.

    Any thread may call any method.

    Args:
        ledger: The ledger.
        owner: The id of this process in it.

    Attributes:
        bounded_log: For the reasons why jobs have to wait.
    """

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._ids: deque[str] = deque()
        self.bounded_log = BoundedLog(_logger, time.monotonic)

    def __repr__(self) -> str:
        return f"<ReturnedJobs, {len(self._ids)} to give back>"

    def add(self, *ids: str) -> None:
        """Give jobs back."""
        self._ids.extend(ids)
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
            self.bounded_log.warn("Jobs cannot be given back to the ledger yet: %s", error)
