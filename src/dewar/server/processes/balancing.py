"""Balance connections between processes: which of them accepts the next client."""

from typing import Protocol


class ConnectionCounts(Protocol):
    """The numbers of open connections of all processes."""

    def note_open(self, count: int) -> None:
        """Publish how many connections are open in this process."""

    def least_open_elsewhere(self) -> int | None:
        """Return the fewest connections that another process has; None without another."""


class LeastConnections:
    """Leaves the next connection to the process that has the fewest.

    The system wakes all processes for a client, and the quickest would accept it: the one whose
    leader is awake, because it is busy already. A small difference is allowed, because exact
    balance would cost more than it gains.

    Args:
        counts: The connections of this process and the others.
    """

    def __init__(self, counts: ConnectionCounts) -> None:
        self._counts = counts

    def __repr__(self) -> str:
        return f"<LeastConnections by {self._counts!r}>"

    def note_open(self, count: int) -> None:
        """Publish how many connections are open in this process."""
        self._counts.note_open(count)

    def should_defer(self, count: int) -> bool:
        """Return whether another process should accept the next client; this one has *count*."""
        least = self._counts.least_open_elsewhere()
        return least is not None and count > least + least // 8
