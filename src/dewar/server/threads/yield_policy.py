"""Whether a client is left to another process that listens on the same address.

All processes hear of a client at once, and the quickest would have it: the one whose leader is
awake, which is the one that already has much to do. So a process that has more connections than
its share leaves the next client to the others for a moment.

They may be busy, and clients must not wait for that. Where a client is still there after that
moment, yielding was in vain, and the process takes it without asking; two the next time, then
four, and so on, until another process has taken one again.
"""

from dewar.server.connection.server_context import Balancer

# How long a client is left to the other processes, in seconds: enough for an idle one to be woken.
YIELD_TIME = 0.002
# After so many yields in vain no more than 2 ** 6 clients are taken without asking.
_MOST_IN_VAIN = 6


class YieldPolicy:
    """Decides for one process, from what it is told; it waits for nothing and reads no clock.

    Attributes:
        returned_at: When the last yield ended, while nobody knows whether it was in vain.
    """

    __slots__ = ("_in_vain", "_unasked", "returned_at")

    def __init__(self) -> None:
        self.returned_at: float | None = None
        self._in_vain = 0  # yields in a row
        self._unasked = 0  # clients that are taken without asking

    def __repr__(self) -> str:
        return f"<YieldPolicy, {self._in_vain} in vain, {self._unasked} unasked>"

    def decide(self, balancer: Balancer, count: int, now: float) -> bool:
        """Decide about the next client; return whether it is left to another process.

        Args:
            balancer: This process's share of the connections.
            count: How many connections it has open.
            now: In seconds, by the clock of `note_return`.
        """
        if self.returned_at is not None and now - self.returned_at >= YIELD_TIME:
            # Another process took the one that was left, and this is the next.
            self.returned_at = None
            self._in_vain = self._unasked = 0
        if self._unasked:
            self._unasked -= 1
            return False
        return balancer.should_defer(count)

    def note_return(self, now: float) -> None:
        """Take note that this process listens again after a yield."""
        self.returned_at = now
        self._unasked = 1 << self._in_vain

    def note_in_vain(self) -> None:
        """Take note that the client was still there: no other process took it."""
        self._in_vain = min(self._in_vain + 1, _MOST_IN_VAIN)
        self.returned_at = None
