"""Metrics in the text format of Prometheus, version 0.0.4. No I/O.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dewar.server.metrics.statistics import PoolStatistics
from dewar.support.metric_family import MetricFamily, escaped_label, lines_of
from dewar.version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Its name; one that ends in ``_total`` only grows while a process runs.
        field: The field of `PoolStatistics` with its value.
        help: What it means.
    """

    name: str
    field: str
    help: str

    @property
    def type(self) -> str:
        """The type of metric in Prometheus."""
        return "counter" if self.name.endswith("_total") else "gauge"


METRICS = (
    Metric("dewar_requests_total", "requests", "Requests answered."),
    Metric("dewar_connections_total", "accepted", "Connections accepted."),
    Metric(
        "dewar_rejected_total",
        "rejected",
        "Connections and requests answered with 503 because there were too many.",
    ),
    Metric(
        "dewar_displaced_total",
        "displaced",
        "Idle connections closed because new ones needed their place.",
    ),
    Metric(
        "dewar_leader_takeovers_total", "leader_takeovers", "Times a stuck leader was replaced."
    ),
    Metric("dewar_connections", "connections", "Open connections."),
    Metric(
        "dewar_connections_handed_off",
        "handed_off",
        "Connections whose request runs on, or waits for, a follower.",
    ),
    Metric("dewar_connections_suspended", "suspended", "Connections that wait on the event loop."),
    Metric("dewar_websockets", "websockets", "Open WebSockets."),
    Metric("dewar_websocket_threads", "websocket_threads", "Threads that WebSockets hold."),
    Metric("dewar_requests_waiting", "waiting", "Requests that wait for a thread."),
    Metric("dewar_spooled_bytes", "spooled", "Bytes of request bodies on disk."),
    Metric("dewar_threads", "threads", "Threads started."),
    Metric("dewar_threads_idle", "idle_threads", "Threads that wait for work."),
    Metric(
        "dewar_early_promotion",
        "early_promotion",
        "1 while requests are slow and the leader promotes a follower first.",
    ),
)


def exposition(workers: Mapping[str, PoolStatistics], families: Iterable[MetricFamily] = ()) -> str:
    """Return the page that Prometheus scrapes.

    Args:
        workers: The statistics of each process, by its label ``worker``. A successor gets the
            same label, which keeps the number of series bounded.
        families: The metrics of other parts, each added up over the processes.
    """
    lines = [*_lines(workers), *lines_of(families)]
    return "".join(f"{line}\n" for line in lines)


def _lines(workers: Mapping[str, PoolStatistics]) -> Iterator[str]:
    yield "# HELP dewar_build_info The version of the server."
    yield "# TYPE dewar_build_info gauge"
    yield f'dewar_build_info{{version="{escaped_label(__version__)}"}} 1'
    for metric in METRICS:
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} {metric.type}"
        for worker, statistics in workers.items():
            value = int(getattr(statistics, metric.field))
            yield f'{metric.name}{{worker="{escaped_label(worker)}"}} {value}'
