"""Plots a figure as SVG: plain elements, readable on a light and on a dark screen.

Each series is named at the end of its line. What is missing or doubtful stands below the axes.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from xml.sax.saxutils import escape

from bench.curves import axis
from bench.curves.axis import Axis
from bench.curves.figure import Figure, Series

WIDTH = 880
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 620.0, 62.0, 372.0
_LINE = 16
_NOTE_CHARACTERS = 132
# No two names of series are nearer than this.
_APART = 17.0
# Okabe and Ito's colours, which most colour-blind people can tell apart; each has 3:1 on both
# backgrounds. The first is that of Dewar.
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#b6609b", "#8a7f00", "#4a90c2", "#8c6bb1", "#7f7f7f")
_STYLE = """
  svg { --back: #ffffff; --text: #1f2328; --soft: #59636e; --grid: #d8dee4; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #0d1117; --text: #e6edf3; --soft: #9198a1; --grid: #30363d; }
  }
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328; fill: var(--text); }
  .back { fill: #ffffff; fill: var(--back); }
  .title { font-size: 16px; font-weight: 600; }
  .soft { font-size: 11.5px; fill: #59636e; fill: var(--soft); }
  .grid { stroke: #d8dee4; stroke: var(--grid); stroke-width: 1; }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
  .first { stroke-width: 3; }
"""


@dataclass(frozen=True, kw_only=True)
class Pen:
    """How a series is drawn."""

    colour: str
    is_dashed: bool

    @property
    def dashes(self) -> str:
        """The attribute of a line."""
        return ' stroke-dasharray="5 4"' if self.is_dashed else ""

    @property
    def dot(self) -> str:
        """The attributes of a dot."""
        if self.is_dashed:
            return f'class="back" stroke="{self.colour}" stroke-width="1.8"'
        return f'fill="{self.colour}"'


def plot(figure: Figure, footer: Sequence[str]) -> str:
    """Return the text of the file.

    Args:
        figure: What to plot.
        footer: Lines that say when and where it was measured, and how to repeat it.
    """
    texts = [*figure.notes, *footer]
    below = [line for text in texts for line in textwrap.wrap(text, _NOTE_CHARACTERS)]
    height = _BOTTOM + 62 + _LINE * len(below)
    size = f'width="{WIDTH}" height="{height:g}"'
    view = f'viewBox="0 0 {WIDTH} {height:g}"'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} {view}>',
        f"<title>{escape(figure.title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="back" {size}/>',
        _text(16, 26, figure.title, "title"),
        _text(16, 48, figure.y_label, "soft"),
        *_axes_and_lines(figure),
        *(_text(16, _BOTTOM + 66 + _LINE * n, line, "soft") for n, line in enumerate(below)),
        "</svg>\n",
    ])  # fmt: skip


def _axes_and_lines(figure: Figure) -> Iterator[str]:
    values = sorted({point.x for series in figure.series for point in series.points})
    across = axis.horizontal(values, _LEFT + 12, _RIGHT - 12, is_log=figure.is_x_log)
    known = [y for series in figure.series for _, y in series.known]
    up = axis.vertical(known, _BOTTOM, _TOP)
    for tick in up.ticks:
        y = up.at(tick)
        yield _rule((_LEFT, y), (_RIGHT, y))
        yield _text(_LEFT - 8, y + 4, axis.label(tick), anchor="end")
    for tick in across.ticks:
        x = across.at(tick)
        yield _rule((x, _BOTTOM), (x, _BOTTOM + 5))
        yield _text(x, _BOTTOM + 20, axis.label(tick), anchor="middle")
    yield _text((_LEFT + _RIGHT) / 2, _BOTTOM + 42, figure.x_label, "soft", anchor="middle")
    pens = dict(zip(_in_order(figure.series), _pens(), strict=False))
    for series in reversed(_in_order(figure.series)):
        yield from _line(series, across, up, pens[series])
    yield from _names(figure.series, up, pens)


def _in_order(series: Sequence[Series]) -> list[Series]:
    """Return Dewar first: it is drawn above the others, in the first colour."""
    return sorted(series, key=lambda one: not one.name.startswith("Dewar"))


def _pens() -> Iterator[Pen]:
    """Return a pen for each series; after the last colour, lines are dashed and dots hollow."""
    yield from (Pen(colour=colour, is_dashed=False) for colour in _COLOURS)
    yield from (Pen(colour=colour, is_dashed=True) for colour in cycle(_COLOURS[1:]))


def _line(series: Series, across: Axis, up: Axis, pen: Pen) -> Iterator[str]:
    kind = "line first" if series.name.startswith("Dewar") else "line"
    # A missing point is a gap, not a straight line between its neighbours.
    for piece in _pieces(series):
        where = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in piece)
        yield f'<polyline class="{kind}" stroke="{pen.colour}"{pen.dashes} points="{where}"/>'
    for x, y in series.known:
        yield _dot(across.at(x), up.at(y), pen)


def _pieces(series: Series) -> Iterator[list[tuple[int, float]]]:
    piece: list[tuple[int, float]] = []
    for point in series.points:
        if point.y is not None:
            piece.append((point.x, point.y))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _names(series: Sequence[Series], up: Axis, pens: dict[Series, Pen]) -> Iterator[str]:
    """Name each series beside its last point, or at the bottom if it has none."""
    places = {one: up.at(one.known[-1][1]) if one.known else _BOTTOM for one in series}
    wanted = sorted(series, key=places.__getitem__)
    for one, y in zip(wanted, spread([places[one] for one in wanted]), strict=True):
        yield _dot(_RIGHT + 16, y, pens[one])
        name = one.name if one.known else f"{one.name} (missing)"
        yield _text(_RIGHT + 26, y + 4, name)


def spread(places: Sequence[float]) -> list[float]:
    """Return the sorted places, moved apart, as near as possible to where they were."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + _APART) if found else max(place, _TOP))
    limit = _BOTTOM
    for index in reversed(range(len(found))):
        found[index] = min(found[index], limit)
        limit = found[index] - _APART
    return found


def _rule(start: tuple[float, float], stop: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, stop
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, pen: Pen) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" {pen.dot}/>'


def _text(x: float, y: float, text: str, kind: str = "", *, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
