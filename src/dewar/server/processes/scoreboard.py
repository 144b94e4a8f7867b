"""Memory that all processes of a server share: one slot per worker.

Every slot has two parts with one writer each. The supervisor writes who the worker is, the worker
what it does. All values are integers of eight bytes, so that each is read as it was written. A
reader that needs several together checks that the worker has not written in between.
"""

import mmap
import os
import time
from collections.abc import Iterable, Iterator
from enum import IntEnum

from dewar.server.metrics.statistics import (
    POOL_FIELDS,
    PoolStatistics,
    WorkerStatistics,
    numbers_of,
    pool_from,
)
from dewar.server.processes.metrics_board import MetricsBoard
from dewar.server.processes.worker_state import Heartbeat, WorkerState
from dewar.support.metric_family import MetricFamily

_STATES = tuple(WorkerState)
_TRIES = 100
_SECOND = 1_000_000  # times are in microseconds of the monotonic clock


class _Cell(IntEnum):
    """What a slot holds, before the numbers of the pool."""

    PID = 0
    GENERATION = 1
    STATE = 2
    FORKED = 3
    VERSION = 4  # odd while the worker writes
    BEAT = 5
    STUCK_SINCE = 6  # 0 for not at all
    OPEN = 7  # connections, written with each accept
    POOL = 8


_SLOT = _Cell.POOL + len(POOL_FIELDS)
_OPEN, _BEAT, _VERSION = int(_Cell.OPEN), int(_Cell.BEAT), int(_Cell.VERSION)
_PID, _STATE = int(_Cell.PID), int(_Cell.STATE)
_WORKER_FAILURES, _HIGHEST = 0, 1  # in slot 0
_SERVING = _STATES.index(WorkerState.SERVING)
# Counters only grow, so they are kept when their worker ends.
_COUNTERS = ("accepted", "rejected", "displaced", "requests", "leader_takeovers")
_KEPT = [POOL_FIELDS.index(name) for name in _COUNTERS]
# Spare slots for workers: for SIGTTIN, and for workers that retire while their successors serve.
_SPARE = 64


def make_scoreboard(processes: int, *, has_metrics: bool = False) -> "Scoreboard":
    """Return a scoreboard with room for all workers that *processes* can lead to.

    Args:
        processes: How many workers serve.
        has_metrics: Whether the workers publish metrics of other parts, too.
    """
    capacity = processes * 4 + _SPARE
    return Scoreboard(capacity, MetricsBoard(capacity) if has_metrics else None)


class Scoreboard:
    """The slots of all workers, and the counts of those that have ended.

    It is made before the first fork, and all processes share it. A slot has the number of its
    worker, from 1 on.

    Args:
        capacity: How many workers there can be at a time, with those that retire.
        metrics: Where workers publish metrics of other parts; None for nowhere.
    """

    def __init__(self, capacity: int, metrics: MetricsBoard | None = None) -> None:
        self.capacity = capacity
        self._metrics = metrics
        # Slot 0 is the supervisor's: the failures of workers, the highest number in use, and the
        # sums of workers that have ended.
        self._memory = mmap.mmap(-1, (capacity + 1) * _SLOT * 8)
        self._view = memoryview(self._memory)
        self._cells = self._view.cast("q")

    def __repr__(self) -> str:
        return f"<Scoreboard {len(list(self._taken()))} of {self.capacity} slots taken>"

    def close(self) -> None:
        """Release the memory, in this process."""
        self._cells.release()
        self._view.release()
        self._memory.close()
        if self._metrics is not None:
            self._metrics.close()

    # The supervisor's side.

    def maybe_free(self) -> int | None:
        """Return the lowest number that no worker has."""
        for number in range(1, self.capacity + 1):
            if not self._cells[number * _SLOT + _PID]:
                return number
        return None

    def reserve(self, number: int, generation: int, now: float) -> None:
        """Clear a slot for a worker that is about to be forked."""
        base = number * _SLOT
        if self._metrics is not None:
            self._metrics.clear(number)
        for index in range(base, base + _SLOT):
            self._cells[index] = 0
        self._cells[base + _Cell.GENERATION] = generation
        self._cells[base + _Cell.STATE] = _STATES.index(WorkerState.STARTING)
        self._cells[base + _Cell.FORKED] = self._cells[base + _BEAT] = round(now * _SECOND)

    def assign(self, number: int, pid: int) -> None:
        """Name the process of a slot."""
        self._cells[number * _SLOT + _PID] = pid
        self._cells[_HIGHEST] = max(self._taken(), default=0)

    def set_state(self, number: int, state: WorkerState) -> None:
        """Note what a worker is doing."""
        self._cells[number * _SLOT + _STATE] = _STATES.index(state)

    def state_of(self, number: int) -> WorkerState:
        """Return what a worker is doing."""
        return _STATES[self._cells[number * _SLOT + _STATE]]

    def release(self, number: int) -> None:
        """Free the slot of a worker that has ended, and keep what it had counted."""
        base = number * _SLOT
        if self._metrics is not None:
            self._metrics.keep(number)
        for index in _KEPT:
            self._cells[_Cell.POOL + index] += self._cells[base + _Cell.POOL + index]
        self._cells[base + _PID] = 0

    def set_worker_failures(self, count: int) -> None:
        """Note how many workers have ended or hung unasked."""
        self._cells[_WORKER_FAILURES] = count

    def heartbeats(self) -> dict[int, Heartbeat]:
        """Return the workers' heartbeats."""
        found = {}
        for number in self._taken():
            base = number * _SLOT
            stuck = self._cells[base + _Cell.STUCK_SINCE]
            beat = self._cells[base + _BEAT] / _SECOND
            found[number] = Heartbeat(beat, stuck / _SECOND if stuck else None)
        return found

    # Any process.

    def workers(self, now: float | None = None) -> tuple[WorkerStatistics, ...]:
        """Return what each worker does."""
        now = time.monotonic() if now is None else now
        return tuple(self._read(number, now) for number in self._taken())

    def total(self) -> PoolStatistics:
        """Return what all workers do together, with the counts of those that have ended."""
        sums = [0] * len(POOL_FIELDS)
        for number in [0, *self._taken()]:
            for index, value in enumerate(self._numbers(number)):
                sums[index] += value
        return pool_from(sums)

    def families(self) -> list[MetricFamily]:
        """Return the metrics of other parts that the workers publish, added up."""
        return [] if self._metrics is None else self._metrics.families(self._taken())

    @property
    def worker_failures(self) -> int:
        """How many workers have ended or hung unasked."""
        return self._cells[_WORKER_FAILURES]

    # A worker's side.

    def slot(self, number: int) -> "WorkerSlot":
        """Return the part of the scoreboard that worker *number* writes."""
        return WorkerSlot(self._cells, number, self._metrics)

    def _taken(self) -> Iterator[int]:
        cells = self._cells
        return (n for n in range(1, self.capacity + 1) if cells[n * _SLOT + _PID])

    def _numbers(self, number: int) -> list[int]:
        base = number * _SLOT
        cells = self._cells
        numbers: list[int] = []
        for _ in range(_TRIES):  # a worker killed while it writes leaves its version odd for ever
            before = cells[base + _VERSION]
            numbers = cells[base + _Cell.POOL : base + _SLOT].tolist()
            if before % 2 == 0 and cells[base + _VERSION] == before:
                break
        return numbers

    def _read(self, number: int, now: float) -> WorkerStatistics:
        cells = self._cells[number * _SLOT : (number + 1) * _SLOT]
        return WorkerStatistics(
            number=number,
            pid=cells[_PID],
            generation=cells[_Cell.GENERATION],
            state=_STATES[cells[_STATE]].name,
            age=max(0.0, now - cells[_Cell.FORKED] / _SECOND),
            heartbeat_age=max(0.0, now - cells[_BEAT] / _SECOND),
            pool=pool_from(self._numbers(number)),
        )


class WorkerSlot:
    """The part of the scoreboard that one worker writes; it reads the other slots."""

    def __init__(
        self, cells: "memoryview[int]", number: int, metrics: MetricsBoard | None = None
    ) -> None:
        self._cells = cells
        self._metrics = metrics
        self._base = number * _SLOT
        self.number = number

    def __repr__(self) -> str:
        return f"<WorkerSlot {self.number} of process {os.getpid()}>"

    def beat(self, now: float, stuck_since: float | None, pool: PoolStatistics) -> None:
        """Write a heartbeat with the statistics of the pool."""
        cells, base = self._cells, self._base
        cells[base + _VERSION] += 1
        for index, value in enumerate(numbers_of(pool), base + _Cell.POOL):
            cells[index] = value
        cells[base + _Cell.STUCK_SINCE] = round((stuck_since or 0.0) * _SECOND)
        cells[base + _OPEN] = pool.connections
        cells[base + _BEAT] = round(now * _SECOND)
        cells[base + _VERSION] += 1

    @property
    def has_metrics(self) -> bool:
        """Whether somebody reads what is published."""
        return self._metrics is not None

    def publish(self, families: Iterable[MetricFamily]) -> None:
        """Publish the metrics of other parts of this worker, for the process that serves them."""
        if self._metrics is not None:
            self._metrics.publish(self.number, families)

    def note_open(self, count: int) -> None:
        """Write how many connections are open."""
        self._cells[self._base + _OPEN] = count

    def least_open_elsewhere(self) -> int | None:
        """Return the fewest connections that another worker has; None if no other serves."""
        cells, own = self._cells, self._base
        counts = [
            cells[base + _OPEN]
            for base in range(_SLOT, (cells[_HIGHEST] + 1) * _SLOT, _SLOT)
            if base != own and cells[base + _PID] and cells[base + _STATE] == _SERVING
        ]
        return min(counts, default=None)
