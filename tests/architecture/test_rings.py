"""Long-lived objects hold each other in one direction, but for the rings that a page names."""

import json
import re
import subprocess
import sys

from architecture.drawing import PAGES
from architecture.rings import components, rings
from architecture.tree import TESTS


def named_rings() -> set[tuple[str, ...]]:
    """Return the rings in the table of the page."""
    text = PAGES[0].read_text(encoding="utf-8")
    table = text.partition("| ring | why |\n|---|---|\n")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()]
    return {tuple(sorted(re.findall(r"`(\w+)`", cell))) for cell in cells}


def test_objects_hold_each_other_in_one_direction() -> None:
    """A part gets the functions and values that it needs; the page names each exception."""
    command = [sys.executable, "-m", "architecture.rings"]
    run = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    found = {tuple(ring) for ring in json.loads(run.stdout)}
    assert found - named_rings() == set()
    assert named_rings() - found == set(), "an exception that is not needed"


def test_a_ring_is_found() -> None:
    """Of objects that reach each other, through others or through a container."""
    assert list(components({1: {2}, 2: {3}, 3: {2}, 4: {1}})) == [[2, 3]]
    assert sorted(map(sorted, components({1: {2}, 2: {1, 3}, 3: {4}, 4: {3}}))) == [[1, 2], [3, 4]]
    assert list(components({1: {1}, 2: {1}})) == []


def test_objects_of_others_are_in_no_ring() -> None:
    """Only those of Dewar's classes count."""
    ring: list[object] = []
    ring.append(ring)
    assert rings([]) == set()
    assert rings([ring]) == set()
