from conformance.junit import Outcome
from conformance.runs import Run
from conformance.suites import Suite
from conformance.verdict import Verdict

from conformance import verdict

SUITE = Suite(
    name="Ext",
    project="ext",
    version="1.0",
    tests=("tests",),
    requires=(),
    environment={},
    supplied={},
)
FLASK = Run(
    results={
        "t.py::passes": Outcome.PASSED,
        "t.py::breaks": Outcome.PASSED,
        "t.py::known": Outcome.PASSED,
        "t.py::vanishes": Outcome.PASSED,
        "t.py::skipped": Outcome.SKIPPED,
        "t.py::never": Outcome.FAILED,
    }
)
HERE = Run(
    results={
        "t.py::passes": Outcome.PASSED,
        "t.py::breaks": Outcome.FAILED,
        "t.py::known": Outcome.FAILED,
        "t.py::skipped": Outcome.SKIPPED,
        "t.py::never": Outcome.FAILED,
    }
)


def test_what_passes_on_flask_must_pass_here():
    """A test that fails here, or is not even there, is named; one that fails on both is not."""
    found = Verdict.of(SUITE, HERE, FLASK, {"Ext: t.py::known"})
    assert found.failing == ("Ext: t.py::breaks", "Ext: t.py::vanishes")
    assert found.excused == ("Ext: t.py::known",)
    assert found.is_bad
    assert (found.here, found.flask, found.total) == (1, 4, 6)


def test_a_documented_test_that_passes_is_reported():
    """The list of excuses shrinks: other suites' entries do not matter here."""
    found = Verdict.of(SUITE, FLASK, FLASK, {"Ext: t.py::passes", "Other: t.py::passes"})
    assert found.stale == ("Ext: t.py::passes",)
    assert not found.is_bad


def test_a_run_that_did_not_end_is_bad_whatever_it_says():
    """A hang or a crash is never hidden behind the tests that passed before it."""
    stopped = Run(results=FLASK.results, problem="the run on dewar was stopped after 600 s")
    found = Verdict.of(SUITE, stopped, FLASK, ())
    assert found.is_bad
    assert "was stopped after 600 s" in verdict.line(found)


def test_a_run_on_one_of_the_two_compares_nothing():
    """With nothing beside it, a figure is only shown."""
    found = Verdict.of(SUITE, None, FLASK, {"Ext: t.py::known"})
    assert (found.here, found.failing, found.stale) == (None, (), ())
    assert verdict.line(found).split() == ["Ext", "1.0", "-", "4", "6"]


def test_a_suite_of_which_nothing_passes_on_flask_is_bad():
    """Two times nothing is not equal: such a suite is not set up."""
    broken = Run(results={"t.py": Outcome.FAILED})
    assert Verdict.of(SUITE, broken, broken, ()).is_bad


def test_a_suite_that_cannot_be_installed_is_a_line():
    """It stops no other suite, and does not look like a success."""
    found = Verdict.failed(SUITE, "not run: pip install: no")
    assert found.is_bad
    assert verdict.line(found).endswith("not run: pip install: no")


def test_details_name_what_the_lines_count():
    """Each chapter names its tests; a chapter without tests is not there."""
    text = verdict.details([Verdict.of(SUITE, HERE, FLASK, {"Ext: t.py::known"})])
    assert text == [
        "",
        "Pass on Flask and fail here:",
        "  Ext: t.py::breaks",
        "  Ext: t.py::vanishes",
        "",
        "Documented tests of Flask's internals:",
        "  Ext: t.py::known",
    ]
