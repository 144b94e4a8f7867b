"""`QueueAllowance`: how many jobs of a task may be accepted until the next count of the queue."""

# Of the room that is left when it was counted, one in so many may be filled without counting.
_SHARE = 16


class QueueAllowance:
    """What this process may accept without looking, by task.

    PERF: counting is what costs most about a job, and grows with the queue. Near the limit, and
    with limits below sixteen, each job is counted.

    The limit is exact where one process accepts jobs, and nobody gives jobs back. What another
    found free before, it may fill later: so each other one may exceed the limit, by a sixteenth.
    """

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<QueueAllowance {self._left}>"

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
