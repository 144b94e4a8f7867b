"""The drawings of the architecture page are those of the code."""

from architecture.drawing import PAGE, redrawn, reduced


def test_the_map_is_up_to_date() -> None:
    """``make map`` draws it from the imports."""
    page = PAGE.read_text(encoding="utf-8")
    assert redrawn(page) == page, "run: make map"


def test_an_arrow_that_a_longer_way_replaces_is_left_out() -> None:
    """What is left shows the floors."""
    graph = {"top": {"middle", "low"}, "middle": {"low"}, "low": set()}
    assert reduced(graph) == {"top": ["middle"], "middle": ["low"], "low": []}
