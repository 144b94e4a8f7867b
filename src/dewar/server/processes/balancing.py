"""Which of several processes takes the next client."""

from typing import Protocol


class ConnectionCounts(Protocol):
    """What is known of the processes' connections."""

    def note_open(self, count: int) -> None:
        """Tell how many connections are open here."""

    def least_open_elsewhere(self) -> int | None:
        """Return the connections of that other process which has fewest, None without one."""


class LeastConnections:
    """Lets the process with fewer connections have the next one.

    All of them hear of a client at once, and the quickest would have it: the one whose leader is
    awake, which is the one that has much to do already. Some difference does no harm, and asking
    for less of it would cost more than it brings.

    Args:
        counts: Of this process and the others.
    """

    def __init__(self, counts: ConnectionCounts) -> None:
        self._counts = counts

    def __repr__(self) -> str:
        return f"<LeastConnections by {self._counts!r}>"

    def note_open(self, count: int) -> None:
        """Tell how many connections are open here."""
        self._counts.note_open(count)

    def should_defer(self, count: int) -> bool:
        """Return whether another process should rather have the next client; *count* are here."""
        least = self._counts.least_open_elsewhere()
        return least is not None and count > least + least // 8
