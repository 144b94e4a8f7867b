"""Which waiting jobs a process claims, decided without a database.

Waiting jobs are in *levels*: those of one queue and one priority, the oldest due first. The jobs of
a task with limits have levels of their own. The rules of a claim:

1. Queues take turns: each that has due jobs gets the same share, and what one does not use is for
   the others.
2. Within a queue, a higher priority goes first.
3. Every eighth job of a queue is from the level whose first job is the oldest, whatever its
   priority. So each job that waits becomes the oldest, and no priority is kept from running.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

#: Every so many jobs of a queue, one is the oldest.
OLDEST_EVERY = 8
# The most queues whose turns are counted, so that a name for each customer fills no memory.
_MAX_QUEUES = 10_000


@dataclass(frozen=True, slots=True)
class Level:
    """Waiting jobs that are claimed in the order in which they are due."""

    queue: str
    priority: int
    #: When the first of them is due.
    due: float
    #: Their task, if it has limits or is looked for by itself; else they are of any task without.
    task: str | None = None
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Take:
    """Some of the first jobs of a level, to be claimed."""

    level: Level
    count: int


class Turns:
    """Whose turn it is in one process. A lost update only makes a turn come later."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._latest = ""

    def __repr__(self) -> str:
        return f"<Turns after {self._latest!r} of {len(self._counts)} queues>"

    def shares(self, queues: Sequence[str], count: int) -> list[tuple[str, int]]:
        """Return the shares of queues in a number of jobs, in the order of their turns."""
        ordered = sorted(queues, key=lambda queue: (queue <= self._latest, queue))
        each, more = divmod(count, len(ordered))
        shares = [(queue, each + (place < more)) for place, queue in enumerate(ordered)]
        return [share for share in shares if share[1]]

    def oldest(self, queue: str, count: int) -> int:
        """Return how many of the next jobs of a queue are to be the oldest ones."""
        before = self._counts.get(queue, 0)
        return (before + count) // OLDEST_EVERY - before // OLDEST_EVERY

    def note(self, queue: str, count: int) -> None:
        """Note that a queue had its turn, and how many jobs were claimed."""
        if len(self._counts) > _MAX_QUEUES:
            self._counts.clear()
        self._counts[queue] = (self._counts.get(queue, 0) + count) % OLDEST_EVERY
        self._latest = queue


#: What is to be claimed, one after the other. It is sent how many jobs there were.
Plan = Generator[Take, int, None]


def plan_claim(
    levels: Sequence[Level], most: int, allowed: Mapping[str, int], turns: Turns
) -> Plan:
    """Yield what to claim, until there are enough jobs or no more.

    Args:
        levels: The levels whose first job is due.
        most: The most jobs to claim.
        allowed: How many jobs of a task with limits may be claimed; without an entry any number.
        turns: Whose turn it is.
    """
    left = dict(allowed)
    queues: dict[str, list[Level]] = {}
    for level in sorted(levels, key=_order):
        queues.setdefault(level.queue, []).append(level)
    while most and queues:
        for queue, share in turns.shares(list(queues), most):
            found = yield from _claim_of(queues[queue], share, turns.oldest(queue, share), left)
            turns.note(queue, found)
            most -= found
            if found < share:
                del queues[queue]


def _order(level: Level) -> tuple[int, float, str]:
    # The task, so that it does not matter in which order they were read.
    return -level.priority, level.due, level.task or ""


def _claim_of(
    levels: list[Level], share: int, oldest: int, left: dict[str, int]
) -> Generator[Take, int, int]:
    """Yield what to claim of one queue; return how many jobs were found.

    Levels that have no more are removed.
    """
    found = 0
    eldest = min(levels, key=attrgetter("due"), default=None)
    if oldest and eldest is not None and eldest is not levels[0]:
        found += yield from _take(eldest, oldest, levels, left)
    for level in list(levels):
        if found < share:
            found += yield from _take(level, share - found, levels, left)
    return found


def _take(
    level: Level, count: int, levels: list[Level], left: dict[str, int]
) -> Generator[Take, int, int]:
    """Yield jobs of a level to claim, as many as its task may have; return how many were found."""
    task = level.task
    asked = count if task is None else min(count, left.get(task, count))
    found = (yield Take(level, asked)) if asked else 0
    if task is not None and task in left:
        left[task] -= found
    if found < count:
        levels.remove(level)
    return found
