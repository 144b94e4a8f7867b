from conformance.junit import Outcome, parse

DOCUMENT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
  <testcase classname="tests.test_a.TestB" name="test_c[x.y]" time="0.1" />
  <testcase classname="test_top" name="test_skips"><skipped message="no" /></testcase>
  <testcase classname="tests.test_a" name="test_fails"><failure message="no">…</failure></testcase>
  <testcase classname="tests.test_a" name="test_twice" />
  <testcase classname="tests.test_a" name="test_twice"><error message="teardown" /></testcase>
  <testcase classname="" name="tests.broken"><error message="collection failure" /></testcase>
  <testcase classname="elsewhere.It" name="test_it" />
</testsuite></testsuites>
"""
FILES = {"tests/test_a.py", "test_top.py", "tests/broken.py"}


def test_tests_get_the_ids_that_pytest_takes():
    """The dotted names of the document become paths, classes and functions again."""
    assert list(parse(DOCUMENT, FILES.__contains__)) == [
        "tests/test_a.py::TestB::test_c[x.y]",
        "test_top.py::test_skips",
        "tests/test_a.py::test_fails",
        "tests/test_a.py::test_twice",
        "tests/broken.py",
        "elsewhere.It::test_it",
    ]


def test_the_worst_of_a_tests_outcomes_counts():
    """A test whose teardown broke is reported twice, and did not pass."""
    outcomes = parse(DOCUMENT, FILES.__contains__)
    assert outcomes["tests/test_a.py::test_twice"] is Outcome.FAILED
    assert outcomes["tests/test_a.py::test_fails"] is Outcome.FAILED
    assert outcomes["tests/broken.py"] is Outcome.FAILED
    assert outcomes["test_top.py::test_skips"] is Outcome.SKIPPED
    assert outcomes["tests/test_a.py::TestB::test_c[x.y]"] is Outcome.PASSED
