"""`MetricsPublisher`: the thread of a worker that publishes what other parts of it have counted."""

import logging
import threading
from contextlib import suppress

from dewar.server.processes.scoreboard import WorkerSlot
from dewar.support.background_thread import BackgroundThread
from dewar.support.metric_sources import MetricSources, metric_sources

_logger = logging.getLogger("dewar.server")
_INTERVAL = 1.0


class MetricsPublisher:
    """Publishes every second, once there is a source. Not the leader: a source may be slow.

    Args:
        slot: Where the process that serves the metrics reads them, if one does.
        sources: What is published.
    """

    def __init__(self, slot: WorkerSlot, sources: MetricSources = metric_sources) -> None:
        self._slot = slot
        self._sources = sources
        self._stopping = threading.Event()
        self._thread: BackgroundThread | None = None

    def __repr__(self) -> str:
        return f"<MetricsPublisher of {self._sources!r}>"

    def maybe_start(self) -> None:
        """Start the thread if there is a source and it has not been started."""
        if self._thread is None and self._sources and self._slot.has_metrics:
            self._thread = BackgroundThread("dewar-metrics-publisher", self._run)
            with suppress(RuntimeError):  # there may be no thread to be had
                self._thread.start()

    def finish(self) -> None:
        """End the thread, and publish what was counted last."""
        self._stopping.set()
        if self._sources and self._slot.has_metrics:
            self._publish_safely()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            self._publish_safely()

    def _publish_safely(self) -> None:
        try:
            self._slot.publish(self._sources.families())
        except Exception:
            _logger.exception("Metrics could not be published")
