"""The plots: scales, labels, gaps, and that each is a picture that a browser takes."""

import itertools
from xml.etree import ElementTree as ET

import pytest
from bench.curves import axis, svg
from bench.curves.figure import Figure, Point, Series
from hypothesis import given
from hypothesis import strategies as st

SPACE = "{http://www.w3.org/2000/svg}"


def series(name, *ys):
    """Return a series at the values 1, 10, 100, …; None is a missing point."""
    points = [
        Point(x=10**n, y=y, note="" if y is not None else "missing: <died> & gone")
        for n, y in enumerate(ys)
    ]
    return Series(name=name, points=tuple(points))


def plotted(*found):
    """Return the elements of a plot."""
    figure = Figure(name="x", title="A & B", x_label="size", y_label="µs", series=found)
    return ET.fromstring(svg.plot(figure, ["2026-12-01", "To repeat: x <y>"]))


def texts(root):
    """Return what a reader can read."""
    return [element.text for element in root.iter(f"{SPACE}text")]


def test_a_plot_names_its_axes_series_and_origin():
    """And is well-formed, whatever the texts have in them."""
    read = texts(plotted(series("Dewar", 1.0, 2.0), series("Flask", 30.0, 40.0)))
    assert {"A & B", "size", "µs", "Dewar", "Flask", "2026-12-01", "To repeat: x <y>"} <= set(read)


def test_a_missing_point_is_a_gap_and_is_named_below():
    """No line is drawn across it."""
    root = plotted(series("Dewar", 1.0, None, 3.0, 4.0))
    lines = [element.get("points") for element in root.iter(f"{SPACE}polyline")]
    assert [line.count(",") for line in lines] == [1, 2]
    assert "Dewar at 10: missing: <died> & gone" in texts(root)


def test_a_series_without_points_is_named_as_missing():
    """A contestant does not vanish."""
    read = texts(plotted(series("Dewar", 1.0), series("granian", None)))
    assert "granian (missing)" in read


def test_a_plot_without_any_point_says_so():
    """It is a picture all the same."""
    assert "Dewar (missing)" in texts(plotted(series("Dewar", None)))


def test_dewar_is_drawn_last_and_thick():
    """Above the other lines."""
    root = plotted(series("Dewar", 1.0, 2.0), series("Flask", 1.0, 2.0))
    kinds = [element.get("class") for element in root.iter(f"{SPACE}polyline")]
    assert kinds == ["line", "line first"]


def test_no_two_series_look_alike():
    """However many there are."""
    root = plotted(*(series(f"number {n}", 1.0, 2.0) for n in range(12)))
    lines = root.iter(f"{SPACE}polyline")
    pens = [(element.get("stroke"), element.get("stroke-dasharray")) for element in lines]
    assert len(pens) == len(set(pens)) == 12


def test_equal_ratios_are_equal_distances():
    """On a logarithmic axis."""
    made = axis.vertical([1.0, 1000.0], 300.0, 0.0)
    places = [made.at(value) for value in (1, 10, 100, 1000)]
    assert places == pytest.approx([300.0, 200.0, 100.0, 0.0])


def test_an_axis_from_zero_is_linear():
    """Because zero has no logarithm."""
    made = axis.horizontal([0, 2, 20], 0.0, 100.0, is_log=True)
    assert [made.at(value) for value in (0, 2, 20)] == pytest.approx([0.0, 10.0, 100.0])


def test_one_value_is_in_the_middle():
    """It has no distance to another."""
    assert axis.horizontal([7], 0.0, 100.0, is_log=True).at(7) == 50.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.02, "0.02"), (5, "5"), (200, "200"), (20_000, "20k"), (100e6, "100M"), (2e9, "2G")],
)
def test_labels_are_short(value, text):
    """They must fit beside the axis."""
    assert axis.label(value) == text


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=9))
def test_an_axis_holds_all_values_between_round_ends(values):
    """No point is outside of the plot, and an axis has a few ticks."""
    made = axis.vertical(values, 300.0, 0.0)
    assert all(-0.01 <= made.at(value) <= 300.01 for value in values)
    assert 2 <= len(made.ticks) <= 20
    assert list(made.ticks) == sorted(made.ticks)


@given(st.lists(st.floats(62, 372), min_size=1, max_size=10).map(sorted))
def test_names_do_not_overlap(places):
    """And keep their order, within the plot."""
    spread = svg.spread(places)
    assert all(after - before > 16.9 for before, after in itertools.pairwise(spread))
    assert spread[0] > 60
    assert spread[-1] <= 372
