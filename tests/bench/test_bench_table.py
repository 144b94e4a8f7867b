import pytest
from bench.table import Row

from bench import table

HEADER = [("Python", "3.11.7"), ("machine", "2 CPUs")]
ROWS = [
    Row(group="server", what="Dewar", figure=86_512.4, unit="req/s", p99_ms=0.71),
    Row(group="server", what="other", figure=8000.0, unit="req/s", ratio=0.0925, baseline="Dewar"),
    table.failed("server", "broken", "Traceback:\n  no | module <x>"),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (86_512.4, "86,512"),
        (746.2, "746"),
        (58.04, "58.0"),
        (3.456, "3.46"),
        (0.0925, "0.092"),
    ],
)
def test_number_keeps_three_digits(value, expected):
    """Figures of any size stay readable."""
    assert table.number(value) == expected


def test_a_failed_row_has_no_figure_and_one_line_of_reason():
    """A failure is shown as one, never as a zero."""
    broken = ROWS[2]
    assert broken.is_failed
    assert broken.note == "failed: Traceback: no | module <x>"
    assert broken.cells()[1:-1] == ("",) * 5


def test_text_lines_up():
    """Each group is named once, and its figures end in one column."""
    lines = table.text(HEADER, ROWS).splitlines()
    assert lines[:2] == ["Python   3.11.7", "machine  2 CPUs"]
    assert lines.count("server") == 1
    dewar, other = (
        next(line for line in lines if f"  {name} " in line) for name in ("Dewar", "other")
    )
    assert dewar.index("86,512") + 6 == other.index("8,000") + 5
    assert "failed: Traceback" in lines[-1]


def test_markdown_rows_have_the_same_number_of_cells():
    """What a log line contains cannot break the Markdown table."""
    lines = [line for line in table.markdown(HEADER, ROWS).splitlines() if line.startswith("|")]
    cells = {line.replace("\\|", "").count("|") for line in lines}
    assert cells == {len(table.COLUMNS) + 1}
    assert "no \\| module &lt;x>" in lines[-1]


def test_a_page_says_how_to_repeat_it():
    """It is a page of the documentation: a title, the command, the table."""
    page = table.page("python3 -m bench --only targets --quick", HEADER, ROWS)
    assert page.startswith("# Bench: targets --quick\n")
    assert "`python3 -m bench --only targets --quick`" in page
    assert page.endswith(table.markdown(HEADER, ROWS))
