"""Compares the two runs of a suite."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from conformance.junit import Outcome
from conformance.runs import Run
from conformance.suites import Suite


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of the runs of one suite. Test ids start with the name of the suite."""

    suite: Suite
    #: The number of tests that passed on Dewar and on Flask; None means not run.
    here: int | None = None
    flask: int | None = None
    total: int = 0
    problems: tuple[str, ...] = ()
    #: Tests that only pass on Flask: the undocumented ones, and the documented ones.
    failing: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    #: Tests that are documented not to pass, but do pass or do not exist.
    stale: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """Whether there is something to fix."""
        return bool(self.problems or self.failing)

    @classmethod
    def failed(cls, suite: Suite, problem: str) -> Self:
        """Return the verdict on a suite that cannot be run."""
        return cls(suite=suite, problems=(problem,))

    @classmethod
    def of(
        cls, suite: Suite, here: Run | None, flask: Run | None, documented: Iterable[str]
    ) -> Self:
        """Return the verdict on a suite that ran on one or both of the frameworks."""
        runs = [run for run in (flask, here) if run is not None]
        failing = _failing(suite, here, flask) if here and flask else frozenset()
        documented = {test for test in documented if test.startswith(f"{suite.name}: ")}
        return cls(
            suite=suite,
            here=here.passed if here else None,
            flask=flask.passed if flask else None,
            total=max(len(run.results) for run in runs),
            problems=tuple(problem for run in runs if (problem := _problem(run, run is flask))),
            failing=tuple(sorted(failing - documented)),
            excused=tuple(sorted(failing & documented)),
            stale=tuple(sorted(documented - failing)) if here and flask else (),
        )


def _problem(run: Run, on_flask: bool) -> str:
    if on_flask and not run.passed and not run.problem:
        return "no test passes on Flask: requirements of the tests are not installed"
    return run.problem


def _failing(suite: Suite, here: Run, flask: Run) -> frozenset[str]:
    passed = {test for test, outcome in flask.results.items() if outcome is Outcome.PASSED}
    if not here.results:
        return frozenset()  # nothing ran: this is a problem, not a list of tests
    # A test that is not reported on Dewar has not passed.
    return frozenset(
        f"{suite.name}: {test}" for test in passed if here.results.get(test) is not Outcome.PASSED
    )


HEADER = f"{'suite':22} {'version':10} {'Dewar':>6} {'Flask':>6} {'tests':>6}"


def line(verdict: Verdict) -> str:
    """Return one line: tests passed on Dewar, passed on Flask, and the number of tests."""
    here, flask = ("-" if n is None else str(n) for n in (verdict.here, verdict.flask))
    suite = verdict.suite
    figures = f"{here:>6} {flask:>6} {verdict.total:>6}"
    remarks = [
        *verdict.problems,
        *([f"{len(verdict.failing)} fail here only"] if verdict.failing else []),
        *([f"{len(verdict.excused)} of Flask's internals"] if verdict.excused else []),
        *([f"({suite.note})"] if suite.note else []),
    ]
    return f"{suite.name:22} {suite.version:10} {figures}  {'; '.join(remarks)}".rstrip()


def details(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the lists of the tests that the lines only count, each with a heading."""
    verdicts = list(verdicts)
    chapters = {
        "Pass on Flask and fail here:": [test for v in verdicts for test in v.failing],
        "Documented tests of Flask's internals:": [test for v in verdicts for test in v.excused],
        "Documented, but pass or do not exist (remove them from the list):": [
            test for v in verdicts for test in v.stale
        ],
    }
    return [
        text
        for heading, tests in chapters.items()
        if tests
        for text in ("", heading, *(f"  {test}" for test in tests))
    ]
