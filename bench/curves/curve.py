"""`Curve`: one parameter, its values, and how all contestants are measured at each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.curves import figure
from bench.curves.figure import Figure, Point, Series
from bench.macro import coroutines
from bench.macro.rounds import Target
from bench.plan import Plan
from bench.run import Run, ScriptFailedError
from bench.servers import Contestant

#: Measures all contestants at all values.
Measure = Callable[[Run, Sequence[int]], tuple[Series, ...]]
#: Returns the ``y`` of a rate at a value.
Scale = Callable[[float, int], float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A row of the table of curves.

    Attributes:
        quick: Fewer values, for rough figures.
        has_latencies: Whether the 99th percentile is a figure of its own.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    values: tuple[int, ...]
    quick: tuple[int, ...]
    measure: Measure
    is_x_log: bool = True
    has_latencies: bool = False

    def figures(self, run: Run, values: Sequence[int]) -> list[Figure]:
        """Measure at these values, and return one figure or two."""
        made = Figure(
            name=self.name,
            title=self.title,
            x_label=self.x_label,
            y_label=self.y_label,
            series=self.measure(run, values),
            is_x_log=self.is_x_log,
        )
        return [made, made.latencies()] if self.has_latencies else [made]


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """Runs a script of ``micro`` that measures all values and contestants in turns.

    Attributes:
        script: The module.
        arguments: Its arguments beside the values and the rounds.
        rounds: Returns how many rounds a plan has.
        scale: Returns ``y``, by default what the script printed.
    """

    script: str
    arguments: tuple[str, ...] = ()
    rounds: Callable[[Plan], int] = lambda plan: plan.curve_rounds
    scale: Scale = lambda figure, _value: figure

    def __call__(self, run: Run, values: Sequence[int]) -> tuple[Series, ...]:
        """Return a series for each contestant."""
        swept = ["--values", ",".join(map(str, values))]
        rounds = ["--rounds", str(self.rounds(run.plan))]
        try:
            raw = run.script(self.script, [*self.arguments, *swept, *rounds])
        except ScriptFailedError as error:
            return (figure.failed("everything", values, str(error)),)
        return tuple(_scaled(one, self.scale) for one in figure.from_rounds(values, raw))


@dataclass(frozen=True, kw_only=True)
class OverWire:
    """Measures servers that stay the same, with another load at each value.

    Attributes:
        contestants: The servers.
        target: Returns the load at a value.
        scale: Returns ``y``, by default the rate.
    """

    contestants: Callable[[Run], Sequence[Contestant]]
    target: Callable[[Run, Target, int], Target]
    scale: Scale = lambda rate, _value: rate

    def __call__(self, run: Run, values: Sequence[int]) -> tuple[Series, ...]:
        """Return a series for each server."""
        targets = [self.target(run, usual(run), value) for value in values]
        measured = run.arena.sweep(self.contestants(run), targets)
        series = figure.from_results(zip(values, measured, strict=True))
        return tuple(_scaled(one, self.scale) for one in series)


@dataclass(frozen=True, kw_only=True)
class OtherServers:
    """Measures servers that are started anew with each value.

    Attributes:
        contestants: Returns the servers at a value.
        target: Returns the load at a value.
        scale: Returns ``y``, by default the rate.
        is_pinned: Whether a server has one core.
    """

    contestants: Callable[[Run, int], Sequence[Contestant]]
    target: Callable[[Run, Target, int], Target]
    scale: Scale = lambda rate, _value: rate
    is_pinned: bool = True

    def __call__(self, run: Run, values: Sequence[int]) -> tuple[Series, ...]:
        """Return a series for each kind of server."""
        arena = run.arena if self.is_pinned else run.arena.without_pinning()
        columns = []
        for value in values:
            target = self.target(run, usual(run), value)
            columns.append((value, arena.measure(self.contestants(run, value), target)))
        series = figure.from_results(columns)
        return tuple(_scaled(one, self.scale) for one in series)


@dataclass(frozen=True, kw_only=True)
class BesideCrowd:
    """Measures the 99th percentile of a synchronous view while so many coroutines wait."""

    contestants: Callable[[Run], Sequence[Contestant]]

    def __call__(self, run: Run, values: Sequence[int]) -> tuple[Series, ...]:
        """Return a series for each server."""
        return tuple(
            Series(
                name=contestant.name.partition(",")[0],
                points=tuple(self._point(run, contestant, value) for value in values),
            )
            for contestant in self.contestants(run)
        )

    def _point(self, run: Run, contestant: Contestant, value: int) -> Point:
        plan = replace(run.plan, crowd=value, crowd_rounds=run.plan.curve_crowd_rounds)
        _, _, beside = coroutines.crowd(run.arena, contestant, plan)
        return figure.measured(value, beside, [shot.p99_ms for shot in beside.shots])


def usual(run: Run) -> Target:
    """Return the load that a curve changes in one respect."""
    plan = run.plan
    return Target(
        path="/",
        expected=b"Hello, World!",
        connections=plan.connections,
        rounds=plan.curve_server_rounds,
        seconds=plan.curve_seconds,
    )


def _scaled(series: Series, scale: Scale) -> Series:
    return replace(series, points=tuple(_scaled_point(point, scale) for point in series.points))


def _scaled_point(point: Point, scale: Scale) -> Point:
    if point.y is None:
        return point
    rounds = tuple(scale(one, point.x) for one in point.rounds)
    return replace(point, y=scale(point.y, point.x), rounds=rounds)
