"""The flame graph shows the server's samples, each in its stage."""

import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest
from bench.counters import budget
from bench.flame import page, stages, svg
from bench.flame.__main__ import PATHS
from bench.flame.page import Measured
from bench.flame.stacks import served

LEADER = "Pool._poll_and_run (dewar/server/threads/pool.py)"
POLL = "EpollPoller.poll (dewar/server/threads/poller.py)"
VIEW = "user (bench/counters/apps.py)"
TURN = "_after.<locals>.after (bench/counters/wire.py:120)"
FOLDED = f"""\
<module> (bench/flame/program.py:30);main (bench/flame/program.py:12) 5
main (bench/flame/program.py:12);Wire._lead (bench/counters/wire.py:90);{LEADER[:-1]}:227) 3
{LEADER[:-1]}:227);{TURN};{POLL[:-1]}:58) 2
{LEADER[:-1]}:227);{TURN};Client.turn (bench/counters/wire.py:50) 7
{LEADER[:-1]}:227);{VIEW[:-1]}:20);MultiDict.get (werkzeug/datastructures/structures.py:1) 4
{LEADER[:-1]}:229);{VIEW[:-1]}:20);MultiDict.get (werkzeug/datastructures/structures.py:1) 1
"""


def test_only_what_the_server_does_is_kept():
    """Neither the harness around it nor the client; lines are one function."""
    assert served(FOLDED) == {
        (LEADER,): 3,
        (LEADER, POLL): 2,
        (LEADER, VIEW, "MultiDict.get (werkzeug/datastructures/structures.py)"): 5,
    }


def test_a_sample_belongs_to_its_innermost_function_with_a_stage():
    """What serves any caller has none."""
    shares = stages.shares(served(FOLDED))
    assert {stage: share for stage, share in shares.items() if share} == {
        stages.LEAD: 0.3,
        stages.WAIT: 0.2,
        stages.VIEW: 0.5,
    }
    assert stages.stage_of(("foreign (somewhere.py)",)) == stages.OTHER


def test_a_box_is_as_wide_as_its_share():
    """It tells its function, file and share, and narrow ones are left out."""
    stacks = served(FOLDED) + Counter({(LEADER, "rare (dewar/app.py)"): 0})
    text = svg.draw("a <title>", stacks)
    tree = ET.fromstring(text)
    groups = tree.findall("{*}g")
    found = {group[0].text: float(group[1].attrib["width"]) for group in groups}
    assert found["Pool._poll_and_run, dewar/server/threads/pool.py: 100.0%"] == 1200
    assert found["user, bench/counters/apps.py: 50.0%"] == 600
    assert not any(text.startswith("rare") for text in found)


def test_the_table_has_a_line_for_each_stage_that_takes_time():
    """With the microseconds and the share; others are empty."""
    shares = dict.fromkeys(stages.STAGES, 0.0) | {stages.SEND: 0.25, stages.PARSE: 0.004}
    text = page.table({"wire: /": Measured(8.0, shares)})
    assert "| stage | `/` |" in text
    assert "| **µs a request** | **8.0** |" in text
    assert "| send | 2.0 (25%) |" in text
    assert "parse" not in text


def test_the_page_has_one_place_for_the_figures():
    """`make flame` replaces what is there."""
    text = page.PAGE.read_text("utf-8")
    once = page.replaced(text, "| new |")
    assert "| new |" in once
    assert page.replaced(once, "| newer |") == once.replace("| new |", "| newer |")
    with pytest.raises(ValueError, match="one pair of comments"):
        page.replaced("no comments", "| new |")


def test_the_page_shows_a_flame_graph_of_each_path():
    """Of paths that are counted as well."""
    assert set(PATHS) <= set(budget.read().costs)
    linked = re.findall(r"\((flame-\w+\.svg)\)", page.PAGE.read_text("utf-8"))
    assert sorted(linked) == sorted(PATHS.values())
