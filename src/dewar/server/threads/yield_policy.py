"""Whether a client is left to another process that listens on the same address.

All processes learn of a client at once, and the fastest would accept it: the one whose leader is
awake, which already has much to do. So a process that has more connections than its share leaves
the next client to the others for a moment.

The others may be busy, and clients must not wait for that. If a client is still there after that
moment, the yield was in vain, and the process accepts one client without asking; after eight such
yields two each time, then four, and so on, until another process has accepted one again.
"""

from dewar.server.connection.server_context import Balancer

# Seconds for which a client is left to the other processes: enough to wake an idle one.
YIELD_TIME = 0.002
# After how many yields in vain twice as many clients are accepted without asking, and how often.
# An idle process on a busy core needs more than one yield to wake: if the number doubled at once,
# one process would have all of 32 clients after five yields.
_PATIENCE, _DOUBLINGS = 8, 6
_MOST_IN_VAIN = _PATIENCE * _DOUBLINGS


class YieldPolicy:
    """Decides for one process. It never waits, and reads no clock.

    Attributes:
        returned_at: When the last yield ended; None once it is known whether it was in vain.
    """

    __slots__ = ("_in_vain", "_unasked", "returned_at")

    def __init__(self) -> None:
        self.returned_at: float | None = None
        self._in_vain = 0  # yields in a row
        self._unasked = 0  # clients to accept without asking

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
            # Another process accepted that client, and this is the next one.
            self.returned_at = None
            self._in_vain = self._unasked = 0
        if self._unasked:
            self._unasked -= 1
            return False
        return balancer.should_defer(count)

    def note_return(self, now: float) -> None:
        """Note that this process listens again after a yield."""
        self.returned_at = now
        self._unasked = 1 << (self._in_vain // _PATIENCE)

    def note_in_vain(self) -> None:
        """Note that the client was still there: no other process accepted it."""
        self._in_vain = min(self._in_vain + 1, _MOST_IN_VAIN)
        self.returned_at = None
