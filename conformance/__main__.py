"""Runs published test suites on Flask and on Dewar, and prints a line for each."""

# ruff: noqa: T201 - a command prints
import argparse
import signal
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from conformance import excuses, verdict
from conformance.runs import On, Runner
from conformance.scratch import NotPreparedError, Scratch
from conformance.suites import TABLE, Suite, Table
from conformance.verdict import Verdict

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTED = ROOT / "docs" / "reference" / "compatibility.md"


@dataclass(frozen=True, kw_only=True)
class Conformance:
    """One run: its folder, its runner, its targets, and the documented failures."""

    scratch: Scratch
    runner: Runner
    on: frozenset[On]
    documented: frozenset[str]

    def judge(self, suite: Suite) -> Verdict:
        """Return the verdict on a suite. A suite that cannot run does not stop the others."""
        try:
            place = self.scratch.prepare(suite)
        except NotPreparedError as error:
            return Verdict.failed(suite, f"not run: {error}")
        flask, here = (
            self.runner.run(suite, place, on) if on in self.on else None
            for on in (On.FLASK, On.DEWAR)
        )
        return Verdict.of(suite, here, flask, self.documented)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites, print the table, and return 1 if a test only fails on Dewar."""
    options = _options(arguments)
    try:
        chosen = Table.read(TABLE.read_text("utf-8")).choose(options.only, fast=options.fast)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    conformance = Conformance(
        scratch=Scratch(folder=options.scratch.resolve()),
        runner=Runner(remembers=not options.fresh),
        on=frozenset(On if options.on == "both" else {On(options.on)}),
        documented=_documented(),
    )
    # On SIGTERM, leave through every `finally`, so that the tests end too.
    signal.signal(signal.SIGTERM, _stop)
    try:
        return _run(conformance, chosen, options.jobs)
    except KeyboardInterrupt:
        print("conformance: interrupted; all runs have been stopped", file=sys.stderr)
        return 130


def _run(conformance: Conformance, chosen: list[Suite], jobs: int) -> int:
    print(verdict.HEADER, flush=True)
    verdicts = []
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for found in pool.map(conformance.judge, chosen):
                verdicts.append(found)
                print(verdict.line(found), flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            conformance.runner.stop()
            raise
    print("\n".join(verdict.details(verdicts)))
    return 1 if any(found.is_bad for found in verdicts) else 0


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _documented() -> frozenset[str]:
    return excuses.read(DOCUMENTED.read_text("utf-8")) if DOCUMENTED.exists() else frozenset()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m conformance", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="one suite (repeatable)")
    parser.add_argument("--fast", action="store_true", help="Flask's and Werkzeug's own tests")
    parser.add_argument("--fresh", action="store_true", help="do not use stored results of Flask")
    parser.add_argument("--on", choices=("both", *On), default="both")
    parser.add_argument("--jobs", type=int, default=1, help="suites at a time (default: 1)")
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        default=Path(tempfile.gettempdir()) / "dewar-conformance",
        help="the folder for releases and virtual environments (default: %(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
