"""Whether requests are slow on the whole, so that the leader had better not run them itself."""

# Handing a request over costs about 40 µs here, and a stuck leader costs all others about
# 1.5 ms. So handing over beforehand pays once more than one request in 35 is slow; the score
# drifts up from there on. It takes four slow ones in short order to be sure.
_COST = 32
_SURE = 96
_MOST = 256


class LatencyScore:
    """A score that slow requests drive up and quick ones down.

    Several threads count here without a lock. A count that is lost to another makes the change
    of mind a request late, and nothing else.

    Attributes:
        is_slow: Whether the leader should hand over before it runs a request.
    """

    __slots__ = ("_score", "is_slow")

    def __init__(self) -> None:
        self._score = 0
        self.is_slow = False

    def __repr__(self) -> str:
        return f"<LatencyScore {'slow' if self.is_slow else 'quick'}, {self._score} of {_MOST}>"

    def note_slow(self) -> None:
        """Count a request that took a millisecond or more."""
        self._score = min(_MOST, self._score + _COST)
        self.is_slow = self._score > _SURE

    def note_quick(self, requests: int = 1) -> None:
        """Count *requests* that took less."""
        self._score = max(0, self._score - requests)
        self.is_slow = self._score > _SURE
