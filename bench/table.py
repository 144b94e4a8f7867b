"""The table of results: rows in groups, as plain text or as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COLUMNS = ("what", "figure", "unit", "ratio", "baseline", "p99", "note")
# Figures are right-aligned, text is left-aligned.
RIGHT = frozenset({"figure", "ratio", "p99"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement.

    Either ``figure`` is set, or ``note`` starts with ``failed:`` and says why there is no figure.
    """

    group: str
    what: str
    figure: float | None = None
    unit: str = ""
    ratio: float | None = None
    baseline: str = ""
    p99_ms: float | None = None
    note: str = ""

    @property
    def is_failed(self) -> bool:
        """Whether there is no figure."""
        return self.figure is None

    def cells(self) -> tuple[str, ...]:
        """Return the text of each column."""
        return (
            self.what,
            number(self.figure),
            self.unit if self.figure is not None else "",
            f"{number(self.ratio)} x" if self.ratio is not None else "",
            self.baseline if self.ratio is not None else "",
            f"{number(self.p99_ms)} ms" if self.p99_ms is not None else "",
            self.note,
        )


def failed(group: str, what: str, reason: str) -> Row:
    """Return the row of a measurement that failed, with the reason on one line."""
    return Row(group=group, what=what, note=f"failed: {' '.join(reason.split())[:200]}")


def number(value: float | None) -> str:
    """Return a figure with three significant digits and thousands separators; "" for None."""
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows by group, in the order of the first row of each group."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def text(header: Sequence[tuple[str, str]], rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    cells = [COLUMNS, *(row.cells() for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(COLUMNS))]
    label = max((len(name) for name, _ in header), default=0)
    lines = [f"{name:<{label}}  {value}" for name, value in header]
    lines += ["", _line(COLUMNS, widths)]
    for group, members in grouped(rows).items():
        lines += ["", group]
        lines += [_line(row.cells(), widths) for row in members]
    return "\n".join(lines) + "\n"


def markdown(header: Sequence[tuple[str, str]], rows: Sequence[Row]) -> str:
    """Return the table for a README."""
    rule = "|".join("---:" if column in RIGHT else "---" for column in COLUMNS)
    lines = [f"- {name}: {value}" for name, value in header]
    lines += ["", f"| {' | '.join(COLUMNS)} |", f"|{rule}|"]
    for group, members in grouped(rows).items():
        lines.append(f"| **{_escape(group)}** |{' |' * (len(COLUMNS) - 1)}")
        lines += [f"| {' | '.join(map(_escape, row.cells()))} |" for row in members]
    return "\n".join(lines) + "\n"


def page(repeat: str, header: Sequence[tuple[str, str]], rows: Sequence[Row]) -> str:
    """Return a page of the documentation with the table, and how to repeat it."""
    title = f"# Bench: {' '.join(repeat.split()[3:]).replace('--only ', '')}"
    says = f"One run of `{repeat}`, which wrote this page. The contestants take turns, and a figure"
    more = "is the median of the rounds. The ratio is that of the figure and the baseline's."
    return f"{title}\n\n{says}\n{more}\n\n{markdown(header, rows)}"


def _escape(cell: str) -> str:
    # An unescaped "|" would start a column, and "<int>" would be read as HTML.
    return cell.replace("|", "\\|").replace("<", "&lt;")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = (
        cell.rjust(width) if column in RIGHT else cell.ljust(width)
        for column, cell, width in zip(COLUMNS, cells, widths, strict=True)
    )
    return ("  " + "  ".join(aligned)).rstrip()
