"""`MetricsBoard`: memory in which the workers of a server publish metrics of other parts.

Rules for the file:

- A slot has one writer, its worker. It writes to the half that nobody reads, and then moves the
  version, so a worker that is killed while it writes leaves what it had published before.
- The supervisor adds up what the workers had counted that have ended: slot 0. So sums never shrink.
- Memory that nobody writes to is never given to the process, however large it is.
"""

import logging
import mmap
import struct
import time
import zlib
from collections.abc import Iterable

from dewar.support.bounded_log import BoundedLog
from dewar.support.metric_family import MetricFamily, from_json, merged, to_json

_logger = logging.getLogger("dewar.server")
#: The version, and the lengths of the two halves.
_HEADER = struct.Struct("qqq")
#: The bytes of a half: the compressed metrics of many hundred tasks.
_HALF = 128 * 1024
_SLOT = _HEADER.size + 2 * _HALF
_TRIES = 10


class MetricsBoard:
    """A slot for each worker, from 1 on. It is made before the first fork, and shared.

    Args:
        capacity: How many workers there can be.
    """

    def __init__(self, capacity: int) -> None:
        self._memory = mmap.mmap(-1, (capacity + 1) * _SLOT)
        self._log = BoundedLog(_logger, time.monotonic)

    def __repr__(self) -> str:
        return f"<MetricsBoard of {len(self._memory)} bytes>"

    def close(self) -> None:
        """Release the memory, in this process."""
        self._memory.close()

    def clear(self, number: int) -> None:
        """Empty the slot of a worker that is about to be forked."""
        _HEADER.pack_into(self._memory, number * _SLOT, 0, 0, 0)

    def publish(self, number: int, families: Iterable[MetricFamily]) -> None:
        """Write what a worker tells, instead of what it told before."""
        data = zlib.compress(to_json(families), 1)
        if len(data) > _HALF:
            self._log.warn("The metrics of jobs are not updated: %d bytes are too many", len(data))
            return
        start = number * _SLOT
        version, *lengths = _HEADER.unpack_from(self._memory, start)
        half = (version + 1) % 2
        lengths[half] = len(data)
        place = start + _HEADER.size + half * _HALF
        self._memory[place : place + len(data)] = data
        # First the length, which nobody reads yet.
        _HEADER.pack_into(self._memory, start, version, *lengths)
        _HEADER.pack_into(self._memory, start, version + 1, *lengths)

    def keep(self, number: int) -> None:
        """Add what a worker that has ended had counted to what is kept."""
        counted = [one for one in self._read(number) if one.read_at is None]
        # What is now, and no count, ends with the worker.
        counted = [one for one in counted if one.type != "gauge"]
        if counted:
            self.publish(0, merged([*self._read(0), *counted]).values())
        self.clear(number)

    def families(self, numbers: Iterable[int]) -> list[MetricFamily]:
        """Return what some workers tell, and what was kept, added up."""
        told = [family for number in (0, *numbers) for family in self._read(number)]
        return list(merged(told).values())

    def _read(self, number: int) -> list[MetricFamily]:
        start = number * _SLOT
        for _ in range(_TRIES):
            version, *lengths = _HEADER.unpack_from(self._memory, start)
            half = version % 2
            place = start + _HEADER.size + half * _HALF
            data = self._memory[place : place + lengths[half]]
            if _HEADER.unpack_from(self._memory, start)[0] - version < 2:
                break
        return from_json(zlib.decompress(data)) if version and data else []
