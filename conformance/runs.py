"""Runs the tests of one suite, on Flask or on Dewar."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from conformance import junit
from conformance.junit import Outcome, Results
from conformance.scratch import SUPPLIED, Place
from conformance.suites import Suite

SRC = Path(__file__).resolve().parents[1] / "src"
# The exit statuses of pytest with results: 1 means failed tests, 2 also a module with errors.
_ANSWERS = {0, 1, 2}


class On(StrEnum):
    """The framework that the tests run on."""

    FLASK = "flask"
    DEWAR = "dewar"


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of one run of a suite."""

    results: Results
    #: Why results are missing; empty if pytest completed.
    problem: str = ""

    @property
    def passed(self) -> int:
        """The number of tests that passed."""
        return sum(1 for outcome in self.results.values() if outcome is Outcome.PASSED)


class Runner:
    """Runs suites, also several at a time. Another thread can stop it."""

    def __init__(self, *, remembers: bool = True) -> None:
        self._remembers = remembers
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_stopped = False

    def run(self, suite: Suite, place: Place, on: On) -> Run:
        """Run the tests of a suite and return the result. Results of Flask are stored."""
        if on is On.DEWAR:
            return self._run(suite, place, on)
        memory = place.folder / "flask.json"
        fingerprint = suite.fingerprint(
            platform.python_version(),
            *((SUPPLIED / name).read_text("utf-8") for name in suite.supplied.values()),
        )
        remembered = _recall(memory, fingerprint) if self._remembers else None
        if remembered is not None:
            return Run(results=remembered)
        found = self._run(suite, place, on)
        if not found.problem:
            memory.write_text(json.dumps({"fingerprint": fingerprint, "results": found.results}))
        return found

    def stop(self) -> None:
        """Stop all runs. Later runs are stopped too."""
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                _kill(process)

    def _run(self, suite: Suite, place: Place, on: On) -> Run:
        report, log = place.folder / f"{on}.xml", place.folder / f"{on}.log"
        report.unlink(missing_ok=True)
        with log.open("wb") as output:
            ended = self._wait(_start(suite, place, on, output), suite.timeout)
        results = _read(report, place.source)
        if ended in _ANSWERS and results:
            return Run(results=results)
        how = f"stopped after {suite.timeout} s" if ended is None else f"ended with status {ended}"
        return Run(results=results, problem=f"the run on {on} {how}: see {log}")

    def _wait(self, process: subprocess.Popen[bytes], timeout: int) -> int | None:
        """Return pytest's exit status, or None if it was stopped."""
        with self._lock:
            self._running.add(process)
            if self._is_stopped:
                _kill(process)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with self._lock:
                self._running.discard(process)
                _kill(process)  # with the processes that its tests have left
            process.wait()


def _recall(memory: Path, fingerprint: str) -> Results | None:
    if not memory.exists():
        return None
    remembered = json.loads(memory.read_text())
    if remembered["fingerprint"] != fingerprint:
        return None
    return {test: Outcome(outcome) for test, outcome in remembered["results"].items()}


def _read(report: Path, source: Path) -> Results:
    if not report.exists():
        return {}
    try:
        return junit.parse(report.read_text("utf-8"), lambda path: (source / path).is_file())
    except SyntaxError:  # pytest was stopped while it wrote
        return {}


def _start(suite: Suite, place: Place, on: On, output: IO[bytes]) -> subprocess.Popen[bytes]:
    start = ["-m", "pytest"] if on is On.FLASK else ["-m", "dewar.compat", "-m", "pytest"]
    # The `addopts` of a release, which for instance measure coverage, are not part of the tests.
    report = place.folder / f"{on}.xml"
    options = ["-v", "-o", "addopts=", "-p", "no:cacheprovider", f"--junitxml={report}"]
    return subprocess.Popen(  # noqa: S603 - the table of suites is trusted
        [str(place.python), *start, *options, *suite.arguments, *suite.tests],
        cwd=place.source,
        env=_environment(suite, place, on),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a separate process group, to be killed as a whole
    )


def _environment(suite: Suite, place: Place, on: On) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST", "FLASK", "DEWAR", "VIRTUAL_ENV"))
    }
    path = os.pathsep.join([str(place.python.parent), kept.get("PATH", os.defpath)])
    dewar = {"PYTHONPATH": str(SRC)} if on is On.DEWAR else {}
    return {**kept, "PATH": path, **dewar, **suite.environment}


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all have ended already
        os.killpg(process.pid, signal.SIGKILL)
