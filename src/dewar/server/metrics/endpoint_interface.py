"""What serves the statistics of a server, seen from those who start it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from dewar.server.metrics.pool_statistics import PoolStatistics

#: Gives each process's statistics by its number, which is the label ``worker`` in the metrics.
ReadStatistics = Callable[[], Mapping[str, PoolStatistics]]


class StatisticsEndpoint(Protocol):
    """Something that serves statistics."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs it listens on."""

    def start(self) -> None:
        """Begin to serve, on threads of its own."""

    def stop(self) -> None:
        """End."""


MakeEndpoint = Callable[[ReadStatistics], StatisticsEndpoint]
