"""`Figure`: the measured points of a curve, one series for each contestant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench import stats
from bench.macro.rounds import Result


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement. Without ``y``, the note says why there is none.

    Attributes:
        rounds: The figures of all rounds, of which ``y`` is the median.
    """

    x: int
    y: float | None
    rounds: tuple[float, ...] = ()
    p99_ms: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Series:
    """The points of one contestant, by ``x``."""

    name: str
    points: tuple[Point, ...]

    @property
    def known(self) -> list[tuple[int, float]]:
        """The coordinates of the points that have both."""
        return [(point.x, point.y) for point in self.points if point.y is not None]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What is plotted, and how its axes are."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    is_x_log: bool = True

    @property
    def notes(self) -> list[str]:
        """What a reader needs to know about some of the points: those missing come first."""
        found: dict[tuple[bool, str, str], list[str]] = {}
        for series in self.series:
            for point in series.points:
                for note in filter(None, _kinds(point)):
                    key = point.y is not None, series.name, note
                    found.setdefault(key, []).append(f"{point.x:,}")
        return [
            f"{name} at {' and '.join(where)}: {note}"
            for (_, name, note), where in sorted(found.items(), key=lambda item: item[0][0])
        ]

    def latencies(self) -> "Figure":
        """Return the same curve with the 99th percentile as ``y``."""
        return replace(
            self,
            name=f"{self.name}-p99",
            y_label="99th percentile, ms",
            series=tuple(
                replace(
                    series,
                    points=tuple(
                        replace(point, y=point.p99_ms, rounds=()) for point in series.points
                    ),
                )
                for series in self.series
            ),
        )


def from_results(columns: Iterable[tuple[int, Sequence[Result]]]) -> tuple[Series, ...]:
    """Return a series for each server; a result of another value has the same name."""
    found: dict[str, list[Point]] = {}
    for x, results in columns:
        for result in results:
            name, _, _ = result.name.partition(",")
            found.setdefault(name, []).append(
                measured(x, result, [shot.rate for shot in result.shots])
            )
    return tuple(Series(name=name, points=tuple(points)) for name, points in found.items())


def from_rounds(values: Sequence[int], raw: Mapping[str, Any]) -> tuple[Series, ...]:
    """Return a series for each contestant of a script that measures in one process.

    Args:
        values: All values that should have been measured.
        raw: ``{"figures": {name: {value: [figure, …]}}, "failures": {name: {value: why}}}``, with
            values as text. The value ``""`` of a failure stands for all.
    """
    names = dict.fromkeys([*raw["figures"], *raw["failures"]])
    return tuple(
        Series(
            name=name,
            points=tuple(
                _median(x, raw["figures"].get(name, {}), raw["failures"].get(name, {}))
                for x in values
            ),
        )
        for name in names
    )


def failed(name: str, values: Iterable[int], reason: str) -> Series:
    """Return a series without any figure."""
    return Series(name=name, points=tuple(missing(x, reason) for x in values))


def _kinds(point: Point) -> list[str]:
    if point.y is None:
        return [point.note]
    # How far rounds were apart is in the raw figures. That they were is enough for a reader.
    return [note.partition(": rounds")[0] for note in point.note.split(", ")]


def measured(x: int, result: Result, rounds: Sequence[float]) -> Point:
    """Return the point of a result, of which *rounds* are the rates or other figures."""
    y = stats.median(rounds) if rounds and not result.failure else 0.0
    if not y:
        return missing(x, result.failure or result.note or "no response was complete in time")
    return Point(x=x, y=y, rounds=tuple(rounds), p99_ms=result.p99_ms, note=result.note)


def missing(x: int, reason: str) -> Point:
    """Return a point without a figure."""
    return Point(x=x, y=None, note=f"missing: {' '.join(reason.split())[:120]}")


def _median(x: int, figures: Mapping[str, Sequence[float]], failures: Mapping[str, str]) -> Point:
    key = str(x)
    if figures.get(key):
        return Point(x=x, y=stats.median(figures[key]), rounds=tuple(figures[key]))
    return missing(x, failures.get(key) or failures.get("") or "not measured")
