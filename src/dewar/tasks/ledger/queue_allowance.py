"""`QueueAllowance`: how many jobs a process may accept without counting those that wait."""

#: This fraction of the free places may be filled without counting the queue again: one in 16.
_SHARE = 16


class QueueAllowance:
    """The number of jobs of each task that this process may accept without counting the queue.

    PERF: counting is the greatest cost of a submit, and grows with the queue. Near the limit, and
    with limits below sixteen, the queue is counted for each job.

    The limit is exact if one process accepts jobs and none is given back. Each other process may
    exceed it by a sixteenth, with the places that it has found free earlier.
    """

    def __init__(self) -> None:
        self._left: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<QueueAllowance {self._left}>"

    def take(self, task: str, wanted: int) -> bool:
        """Take a number of places; return whether there were as many without counting."""
        left = self._left.get(task, 0) - wanted
        if left < 0:
            return False
        self._left[task] = left
        return True

    def note(self, task: str, waiting: int, limit: int) -> None:
        """Note the result of a count: the waiting jobs, and the limit."""
        self._left[task] = max(0, limit - waiting) // _SHARE
