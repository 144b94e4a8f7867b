"""`metric_sources`: what this process tells its metrics besides those of the server."""

from collections.abc import Callable, Iterable

from dewar.support.metric_family import MetricFamily, summed

#: Returns what this process has counted.
ReadFamilies = Callable[[], Iterable[MetricFamily]]


class MetricSources:
    """The sources of metrics. The server reads them if it serves metrics at all.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        # A dict, in which a source is once. Copying it is atomic.
        self._sources: dict[ReadFamilies, None] = {}

    def __repr__(self) -> str:
        return f"<MetricSources {list(self._sources)}>"

    def __bool__(self) -> bool:
        return bool(self._sources)

    def add(self, source: ReadFamilies) -> None:
        """Read a source from now on."""
        self._sources[source] = None

    def remove(self, source: ReadFamilies) -> None:
        """Read a source no more; it may be none."""
        self._sources.pop(source, None)

    def families(self) -> list[MetricFamily]:
        """Return what all sources tell, added up."""
        told = [family for source in self._sources.copy() for family in source()]
        return list(summed(told).values())


metric_sources = MetricSources()
