"""`Axis`: maps values to positions, on a linear or a logarithmic scale."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_STEPS = (1, 2, 5)
# From this factor on, only powers of ten are round.
_MANY = 500
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from *low* to *high*, on the pixels from *start* to *stop*."""

    low: float
    high: float
    start: float
    stop: float
    ticks: tuple[float, ...]
    is_log: bool

    def at(self, value: float) -> float:
        """Return the position of a value."""
        if self.high == self.low:
            return (self.start + self.stop) / 2
        low, high, found = self.low, self.high, value
        if self.is_log:
            low, high, found = math.log(low), math.log(high), math.log(value)
        return self.start + (self.stop - self.start) * (found - low) / (high - low)


def horizontal(values: Sequence[int], start: float, stop: float, *, is_log: bool) -> Axis:
    """Return an axis with a tick at each value that was measured."""
    low, high = min(values), max(values)
    is_log = is_log and low > 0
    ticks = tuple(map(float, values))
    return Axis(low=low, high=high, start=start, stop=stop, ticks=ticks, is_log=is_log)


def vertical(values: Iterable[float], start: float, stop: float) -> Axis:
    """Return a logarithmic axis with round ends, so that equal ratios look equal."""
    known = [value for value in values if value > 0] or [1.0]
    low, high = _round(min(known), up=False), _round(max(known), up=True)
    if high == low:
        high = _round(low * 1.5, up=True)
    if high / low >= _MANY:
        low, high = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
    ticks = tuple(_ticks(low, high))
    return Axis(low=low, high=high, start=start, stop=stop, ticks=ticks, is_log=True)


def label(value: float) -> str:
    """Return a tick's short label: 20k for 20,000."""
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{value / size:g}{prefix}"
    return f"{value:.3g}"


def _round(value: float, *, up: bool) -> float:
    decade = 10.0 ** math.floor(math.log10(value) + 1e-9)
    rounds = [step * decade for step in (*_STEPS, 10)]
    if up:
        return next(found for found in rounds if found >= value * (1 - 1e-9))
    return next(found for found in reversed(rounds) if found <= value * (1 + 1e-9))


def _ticks(low: float, high: float) -> Iterable[float]:
    decade = 10.0 ** math.floor(math.log10(low) + 1e-9)
    while decade <= high * (1 + 1e-9):
        for step in _STEPS if high / low < _MANY else (1,):
            if low * (1 - 1e-9) <= step * decade <= high * (1 + 1e-9):
                yield step * decade
        decade *= 10
