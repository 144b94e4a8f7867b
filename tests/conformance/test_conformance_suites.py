import re

import pytest
from conformance.suites import TABLE, Table

DOCUMENT = """
fast = ["One"]
common = ["Flask==3.1.3"]

[[suite]]
name = "One"
project = "one"
version = "1.0"
requires = ["more==2"]

[[suite]]
name = "Two"
project = "two"
version = "2.0"
tests = ["test_two.py"]
environment.MODE = "test"
"""


def test_the_table_fills_in_what_suites_share():
    """Each suite gets the common requirements and the default folder of tests."""
    one, two = Table.read(DOCUMENT).suites
    assert one.requires == ("Flask==3.1.3", "more==2")
    assert one.tests == ("tests",)
    assert two.tests == ("test_two.py",)
    assert (one.environment, two.environment) == ({}, {"MODE": "test"})


def test_suites_are_chosen_by_name_in_any_case():
    """One name, the fast ones, or all."""
    table = Table.read(DOCUMENT)
    assert [suite.name for suite in table.choose(None, fast=False)] == ["One", "Two"]
    assert [suite.name for suite in table.choose(["TWO"], fast=False)] == ["Two"]
    assert [suite.name for suite in table.choose(None, fast=True)] == ["One"]


def test_an_unknown_suite_is_named_with_those_there_are():
    """A typing error does not run everything, and does not run nothing."""
    with pytest.raises(LookupError, match=r"no suite Three\. The suites are: One, Two\."):
        Table.read(DOCUMENT).choose(["Three"], fast=False)


def test_a_fingerprint_tells_runs_apart():
    """A remembered result is not taken for one of another release or of other circumstances."""
    one, two = Table.read(DOCUMENT).suites
    assert one.fingerprint("3.11") == one.fingerprint("3.11")
    assert len({one.fingerprint("3.11"), one.fingerprint("3.12"), two.fingerprint("3.11")}) == 3


def test_every_version_is_pinned():
    """The next run must be able to repeat the figures of this one."""
    table = Table.read(TABLE.read_text("utf-8"))
    assert table.fast <= {suite.name for suite in table.suites}
    for suite in table.suites:
        assert re.fullmatch(r"\d[\w.]*", suite.version)
        for requirement in suite.requires:
            assert re.fullmatch(r"[\w.\[\],-]+==[\w.]+", requirement), (suite.name, requirement)
