"""Whether requests are for the event loop on the whole, so that its thread had better lead."""

# So many in a row before the loop's thread leads: a change of leaders is a change of threads.
_SURE = 32
# One request for a thread of the pool weighs as much as so many for the loop: it costs a change of
# threads where the loop leads, and most of them cost none where a thread of the pool does.
_COST = 8
_MOST = 64


class LoopScore:
    """A score that requests for the loop drive up and others down. Only the leader counts.

    Attributes:
        prefers_loop: Whether the loop's thread should lead.
    """

    __slots__ = ("_score", "prefers_loop")

    def __init__(self) -> None:
        self._score = 0
        self.prefers_loop = False

    def __repr__(self) -> str:
        return f"<LoopScore {'loop' if self.prefers_loop else 'threads'}, {self._score} of {_MOST}>"

    def note_loop(self) -> None:
        """Count a request that could be answered on the loop's thread alone."""
        if self._score < _MOST:
            self._score += 1
            self.prefers_loop = self.prefers_loop or self._score >= _SURE

    def note_others(self, requests: int = 1) -> None:
        """Count *requests* that could not."""
        self._score = max(0, self._score - requests * _COST)
        self.prefers_loop = self.prefers_loop and self._score > 0

    def reset(self) -> None:
        """Begin anew."""
        self._score = 0
        self.prefers_loop = False
