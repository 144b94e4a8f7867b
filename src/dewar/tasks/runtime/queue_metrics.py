"""`QueueMetrics`: how many jobs wait and run, for Prometheus.

A scrape never waits long for the database, and cannot load it: the ledger is read on a thread of
its own, and the less often the longer it takes.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence

from dewar.loop.call_queue import CallQueue
from dewar.support.metric_family import MetricFamily, labelled
from dewar.tasks.errors import LedgerError
from dewar.tasks.ledger.records import QueueOverview

_logger = logging.getLogger("dewar.tasks")
#: How long what was read is told, in seconds, and how many times as long as it took to read it.
_KEPT, _SHARE = 2.0, 100
#: How long a scrape waits for it, in seconds.
_PATIENCE = 0.1


class QueueMetrics:
    """The queues of one ledger. Any thread may call any method.

    Args:
        read: Returns the queues at a time.
    """

    def __init__(self, read: Callable[[float], Sequence[QueueOverview]]) -> None:
        self._read = read
        self._pid = os.getpid()
        self._queue = CallQueue("dewar-tasks-metrics")
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._due = 0.0
        self._families: list[MetricFamily] = []

    def __repr__(self) -> str:
        return f"<QueueMetrics of process {self._pid}>"

    def families(self) -> list[MetricFamily]:
        """Return what was read last; nothing in a fork, which has a runtime of its own."""
        if self._pid != os.getpid():
            return []
        with self._lock:
            if time.monotonic() >= self._due:
                self._due = float("inf")  # until it is read
                self._done.clear()
                self._queue.call_soon(self._refresh)
        self._done.wait(_PATIENCE)
        return self._families

    def close(self, timeout: float) -> None:
        """End the thread, within some seconds."""
        self._queue.close(timeout)

    def _refresh(self) -> None:
        began = time.monotonic()
        try:
            now = time.time()
            self._families = families_of(self._read(now), now)
        except LedgerError as error:
            # Nothing is better than numbers of long ago.
            self._families = []
            _logger.info("The queues cannot be counted: %s", error)
        finally:
            ended = time.monotonic()
            self._due = ended + max(_KEPT, _SHARE * (ended - began))
            self._done.set()


def families_of(queues: Sequence[QueueOverview], now: float) -> list[MetricFamily]:
    """Return the metrics of queues that were read at a time."""

    def gauge(name: str, help: str, value: Callable[[QueueOverview], float]) -> MetricFamily:  # noqa: A002  # Prometheus' word
        samples = {labelled(queue=one.queue, task=one.task): value(one) for one in queues}
        return MetricFamily(name=name, type="gauge", help=help, samples=samples, read_at=now)

    return [
        gauge("dewar_jobs_waiting", "Jobs that wait and are due.", lambda one: one.waiting),
        gauge("dewar_jobs_scheduled", "Jobs that are due later.", lambda one: one.later),
        gauge("dewar_jobs_running", "Jobs that run.", lambda one: one.running),
        gauge(
            "dewar_jobs_oldest_seconds",
            "How long the oldest job that waits has been due.",
            lambda one: 0.0 if one.oldest_due is None else max(now - one.oldest_due, 0.0),
        ),
    ]
