"""`Room`: how many jobs of a task may be accepted before it is counted again how many wait."""

__all__ = ["Room"]

# Of the room that is left when it was counted, one in so many may be filled without counting.
# With as many processes as that, each filling its part at once, the limit still holds.
_SHARE = 16


class Room:
    """What this process may accept without looking, by task.

    PERF: counting is what costs most about a job, and grows with the queue. Near the limit, and
    with limits below sixteen, each job is counted.
    """

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Room {self._left}>"

    def take(self, task: str, wanted: int) -> bool:
        """Return whether so many may be accepted without counting, and count them here."""
        left = self._left.get(task, 0) - wanted
        if left < 0:
            return False
        self._left[task] = left
        return True

    def note(self, task: str, waiting: int, limit: int) -> None:
        """Take note of what was counted: how many wait, of how many that may."""
        self._left[task] = max(0, limit - waiting) // _SHARE
