"""The drawings of the pages on the architecture are those of the code."""

from architecture.drawing import redrawn, reduced, texts


def test_the_map_is_up_to_date() -> None:
    """``make map`` draws it from the imports."""
    pages = texts()
    assert redrawn(pages) == pages, "run: make map"


def test_an_arrow_that_a_longer_way_replaces_is_left_out() -> None:
    """What is left shows the floors."""
    graph = {"top": {"middle", "low"}, "middle": {"low"}, "low": set()}
    assert reduced(graph) == {"top": ["middle"], "middle": ["low"], "low": []}
