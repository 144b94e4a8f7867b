"""The figures in the page of the documentation, between two comments."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bench.flame.stacks import ROOT
from bench.flame.stages import STAGES

PAGE = ROOT / "docs" / "explanation" / "where-a-requests-microseconds-go.md"
_FIGURES = re.compile(
    r"(<!-- figures: make flame -->\n).*?(<!-- end of the figures -->)", re.DOTALL
)


@dataclass(frozen=True)
class Measured:
    """The microseconds of a request, and the share of each stage."""

    microseconds: float
    shares: Mapping[str, float]


def table(found: Mapping[str, Measured]) -> str:
    """Return a table with a line for each stage, and a column for each path."""
    times = [f"**{each.microseconds:.1f}**" for each in found.values()]
    lines = [
        f"| stage | {' | '.join(f'`{_short(path)}`' for path in found)} | what it is |",
        f"|---|{'---:|' * len(found)}---|",
        f"| **µs a request** | {' | '.join(times)} | |",
    ]
    for stage, meaning in STAGES.items():
        cells = [_cell(each, stage) for each in found.values()]
        if any(cells):
            lines.append(f"| {stage} | {' | '.join(cells)} | {meaning} |")
    return "\n".join(lines) + "\n"


def write(figures: str) -> None:
    """Replace the figures in the page."""
    text = PAGE.read_text("utf-8")
    PAGE.write_text(replaced(text, figures), "utf-8")


def replaced(text: str, figures: str) -> str:
    """Return the text of the page with other figures.

    Raises:
        ValueError: It has no place for them.
    """
    new, count = _FIGURES.subn(lambda found: f"{found[1]}\n{figures}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"{PAGE.name} needs one pair of comments around its figures.")
    return new


def _short(path: str) -> str:
    return path.removeprefix("wire: ")


def _cell(measured: Measured, stage: str) -> str:
    share = measured.shares[stage]
    if share < 0.005:
        return ""
    return f"{share * measured.microseconds:.1f} ({share:.0%})"
