"""Runs the tests of one suite, on Flask or on Dewar."""

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from conformance import junit
from conformance.junit import Outcome, Results
from conformance.scratch import Place
from conformance.suites import Service, Suite

SRC = Path(__file__).resolve().parents[1] / "src"
# What pytest says with: tests that fail are an answer; 2 is also "could not collect a module".
_ANSWERS = {0, 1, 2}


class On(StrEnum):
    """What the tests run on."""

    FLASK = "flask"
    DEWAR = "dewar"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of a suite came to."""

    results: Results
    #: Why there are no results, or not all of them; empty if pytest came to its end.
    problem: str = ""

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return sum(1 for outcome in self.results.values() if outcome is Outcome.PASSED)


def run(suite: Suite, place: Place, on: On) -> Run:
    """Return what the tests of a suite say; Flask's answer is remembered."""
    if on is On.DEWAR:
        return _run(suite, place, on)
    memory = place.folder / "flask.json"
    circumstances = [platform.python_version(), *(service.name for service in missing(suite))]
    fingerprint = suite.fingerprint(*circumstances)
    if (remembered := _recall(memory, fingerprint)) is not None:
        return Run(results=remembered)
    found = _run(suite, place, on)
    if not found.problem:
        memory.write_text(json.dumps({"fingerprint": fingerprint, "results": found.results}))
    return found


def missing(suite: Suite) -> list[Service]:
    """Return the services of a suite that do not answer on this machine."""
    return [service for service in suite.services if not _answers(service.port)]


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _recall(memory: Path, fingerprint: str) -> Results | None:
    if not memory.exists():
        return None
    remembered = json.loads(memory.read_text())
    if remembered["fingerprint"] != fingerprint:
        return None
    return {test: Outcome(outcome) for test, outcome in remembered["results"].items()}


def _run(suite: Suite, place: Place, on: On) -> Run:
    report, log = place.folder / f"{on}.xml", place.folder / f"{on}.log"
    report.unlink(missing_ok=True)
    ended = _pytest(suite, place, on, report, log)
    results: Results = {}
    if report.exists():
        is_file = lambda path: (place.source / path).is_file()  # noqa: E731
        results = junit.parse(report.read_text("utf-8"), is_file)
    if ended in _ANSWERS and results:
        return Run(results=results)
    how = f"was stopped after {suite.timeout} s" if ended is None else f"ended with status {ended}"
    return Run(results=results, problem=f"the run on {on} {how}: see {log}")


def _pytest(suite: Suite, place: Place, on: On, report: Path, log: Path) -> int | None:
    """Return pytest's exit status, or None where it had to be stopped."""
    start = ["-m", "pytest"] if on is On.FLASK else ["-m", "dewar.compat", "-m", "pytest"]
    # A release's own `addopts` measure coverage and the like: they are no part of the tests.
    ours = ["-v", "-o", "addopts=", "-p", "no:cacheprovider", f"--junitxml={report}"]
    without = [argument for service in missing(suite) for argument in service.without]
    command = [str(place.python), *start, *ours, *suite.arguments, *without, *suite.tests]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the table of suites is ours
            command,
            cwd=place.source,
            env=_environment(suite, place, on),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(suite.timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _environment(suite: Suite, place: Place, on: On) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PYTEST", "FLASK", "DEWAR", "VIRTUAL_ENV"))
    }
    path = os.pathsep.join([str(place.python.parent), kept.get("PATH", os.defpath)])
    dewar = {"PYTHONPATH": str(SRC)} if on is On.DEWAR else {}
    return {**kept, "PATH": path, **dewar, **suite.environment}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End pytest and what its tests started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all ended by themselves
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
