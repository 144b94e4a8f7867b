"""Draws stacks as a flame graph: a box per function, as wide as its share of the samples."""

import colorsys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from bench.flame.stacks import Stack
from bench.flame.stages import STAGES, stage_of_frame

_WIDTH, _ROW = 1200.0, 17
#: Boxes that are narrower are left out: nothing can be read in them.
_NARROWEST = 1.5
_LETTER = 6.4
_HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-family="monospace" \
font-size="11">
<style>rect {{ stroke: #fff; stroke-width: .5 }} text {{ pointer-events: none }}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="4" y="13">{title}</text>
"""


@dataclass
class Box:
    """A function under its callers.

    Attributes:
        frame: The function.
        samples: How many have it.
        inner: What it calls.
    """

    frame: str
    samples: int = 0
    inner: dict[str, "Box"] = field(default_factory=dict)


def draw(title: str, stacks: Counter[Stack]) -> str:
    """Return an SVG with the leader at the top and what it calls below. Colours are stages."""
    root = Box("")
    for stack, count in stacks.items():
        box = root
        box.samples += count
        for frame in stack:
            box = box.inner.setdefault(frame, Box(frame))
            box.samples += count
    drawn = list(_boxes(root, 0.0, 0, _WIDTH / root.samples))
    height = max(row for row, _ in drawn) * _ROW + 2 * _ROW
    head = _HEAD.format(width=_WIDTH, height=height + _ROW, title=escape(title))
    return "".join([head, *(text for _, text in drawn), "</svg>\n"])


def _boxes(parent: Box, left: float, row: int, scale: float) -> Iterator[tuple[int, str]]:
    for _, box in sorted(parent.inner.items()):
        width = box.samples * scale
        if width >= _NARROWEST:
            yield row, _box(box, left, width, row)
            yield from _boxes(box, left, row + 1, scale)
        left += width


def _box(box: Box, left: float, width: float, row: int) -> str:
    function, _, file = box.frame.partition(" (")
    title = f"{function}, {file.rstrip(')')}: {width / _WIDTH:.1%}"
    top, letters = (row + 1) * _ROW + 2, int((width - 4) / _LETTER)
    short = function if len(function) <= letters else function[: letters - 1] + "…"
    label = f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(short)}</text>' if letters > 2 else ""
    return (
        f'<g><title>{escape(title)}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}"'
        f' height="{_ROW - 1}" fill="{_colour(box.frame)}"/>{label}</g>\n'
    )


def _colour(frame: str) -> str:
    stage = stage_of_frame(frame)
    if stage is None:
        return "#ddd"
    parts = colorsys.hls_to_rgb(list(STAGES).index(stage) / len(STAGES), 0.78, 0.6)
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)
