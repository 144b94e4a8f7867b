"""The scores that decide whether the leader should be another thread."""

# Handing a request over costs about 40 µs here, and a stuck leader costs all other clients about
# 1.5 ms. So handing over first pays as soon as more than one request in 35 is slow: from there on
# the score rises. It takes four slow requests close together to be sure.
_SLOW_COST = 32
_SURELY_SLOW = 96
_MAX_LATENCY = 256

# So many requests in a row before the loop's thread leads: a new leader costs a thread switch.
_SURELY_LOOP = 32
# One request for a thread of the pool weighs as much as this many for the loop: it costs a thread
# switch if the loop's thread leads, and usually none if a thread of the pool does.
_THREAD_COST = 8
_MAX_LOOP = 64


class LatencyScore:
    """A score that rises with slow requests and falls with quick ones.

    Several threads count without a lock. A lost count delays a decision by one request, and does
    nothing else.

    Attributes:
        is_slow: Whether the leader should hand over before it runs a request.
    """

    __slots__ = ("_score", "is_slow")

    def __init__(self) -> None:
        self._score = 0
        self.is_slow = False

    def __repr__(self) -> str:
        speed = "slow" if self.is_slow else "quick"
        return f"<LatencyScore {speed}, {self._score} of {_MAX_LATENCY}>"

    def note_slow(self) -> None:
        """Count a request that took a millisecond or more."""
        self._score = min(_MAX_LATENCY, self._score + _SLOW_COST)
        self.is_slow = self._score > _SURELY_SLOW

    def note_quick(self, requests: int = 1) -> None:
        """Count *requests* that took less."""
        self._score = max(0, self._score - requests)
        self.is_slow = self._score > _SURELY_SLOW


class LoopScore:
    """A score that rises with requests for the event loop and falls with others.

    Only the leader counts.

    Attributes:
        prefers_loop: Whether the loop's thread should lead.
    """

    __slots__ = ("_score", "prefers_loop")

    def __init__(self) -> None:
        self._score = 0
        self.prefers_loop = False

    def __repr__(self) -> str:
        leader = "loop" if self.prefers_loop else "threads"
        return f"<LoopScore {leader}, {self._score} of {_MAX_LOOP}>"

    def note_loop(self) -> None:
        """Count a request that the loop's thread alone could answer."""
        if self._score < _MAX_LOOP:
            self._score += 1
            self.prefers_loop = self.prefers_loop or self._score >= _SURELY_LOOP

    def note_others(self, requests: int = 1) -> None:
        """Count *requests* that needed a thread of the pool."""
        self._score = max(0, self._score - requests * _THREAD_COST)
        self.prefers_loop = self.prefers_loop and self._score > 0

    def reset(self) -> None:
        """Set the score to zero."""
        self._score = 0
        self.prefers_loop = False
