"""Whether a transfer goes on quickly enough."""


class TransferRate:
    """One transfer's pace: of a body that comes in, or of a response that goes out.

    A client that stops is overdue after the timeout; one that drips is overdue when it falls
    behind the least rate, so that neither can hold a connection for as long as it likes.
    """

    __slots__ = ("_began", "_last", "_moved")

    def __init__(self, now: float) -> None:
        self._began = self._last = now
        self._moved = 0

    def __repr__(self) -> str:
        return f"<TransferRate {self._moved} bytes since {self._began:.1f}>"

    def advance(self, count: int, now: float) -> None:
        """Note that *count* more bytes have moved."""
        if count:
            self._moved += count
            self._last = now

    def is_overdue(self, now: float, timeout: float, min_rate: int) -> bool:
        """Return whether the transfer has stopped for *timeout* seconds or is below *min_rate*."""
        if now - self._last > timeout:
            return True
        late = now - self._began - timeout
        return late > 0 and self._moved < late * min_rate
