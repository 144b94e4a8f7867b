"""`metric_sources`: what this process tells its metrics besides those of the server."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from weakref import WeakMethod

if TYPE_CHECKING:
    from dewar.support.metric_family import MetricFamily

#: Returns what this process has counted.
ReadFamilies = Callable[[], Iterable["MetricFamily"]]


class MetricSources:
    """The sources of metrics. The server reads them if it serves metrics at all.

    Any thread may call any method.
    """

    def __init__(self) -> None:
        # A dict, in which a source is once. Copying it is atomic. Weak: what nobody uses any more,
        # such as the app of a test, tells nothing and is freed.
        self._sources: dict[WeakMethod[ReadFamilies], None] = {}

    def __repr__(self) -> str:
        return f"<MetricSources {list(self._sources)}>"

    def __bool__(self) -> bool:
        return bool(self._sources)

    def add(self, source: ReadFamilies) -> None:
        """Read a source from now on: a method of an object that somebody else references."""
        self._sources[WeakMethod(source)] = None

    def remove(self, source: ReadFamilies) -> None:
        """Read a source no more; it may be none."""
        self._sources.pop(WeakMethod(source), None)

    def families(self) -> "list[MetricFamily]":
        """Return what all sources tell, added up."""
        from dewar.support.metric_family import summed  # PERF: most processes tell nothing

        told: list[MetricFamily] = []
        for known in self._sources.copy():
            source = known()
            if source is None:
                self._sources.pop(known, None)
            else:
                told += source()
        return list(summed(told).values())


metric_sources = MetricSources()
