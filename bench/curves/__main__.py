"""Measures curves of Dewar and its peers, and plots each to an SVG file."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import plan
from bench.curves import svg
from bench.curves.catalogue import CURVES
from bench.curves.figure import Figure
from bench.run import ROOT, Run, begin

FOLDER = ROOT / "docs" / "figures"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the files, and return 1 if something could not be installed."""
    options = _options(arguments)
    try:
        run = begin(options.load, plan.QUICK if options.quick else plan.FULL)
        return _measure(run, options)
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted; all servers have been stopped", file=sys.stderr)
        return 130


def _measure(run: Run, options: argparse.Namespace) -> int:
    problems = run.venv.prepare()
    for problem in problems:
        print(f"bench: {problem}", file=sys.stderr)
    header = dict(run.header())
    options.folder.mkdir(parents=True, exist_ok=True)
    for curve in CURVES:
        if options.only and curve.name not in options.only:
            continue
        print(f"bench: measuring {curve.name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        figures = curve.figures(run, curve.quick if options.quick else curve.values)
        print(f"bench: it took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        for figure in figures:
            again = f"python3 -m bench.curves --only {curve.name}"
            write(options.folder, figure, header, again + " --quick" * options.quick)
    return 1 if problems else 0


def write(folder: Path, figure: Figure, header: dict[str, str], again: str) -> None:
    """Write the plot of a figure, and its points with the header.

    Args:
        folder: Where to write the two files.
        figure: The figure.
        header: The facts of the run.
        again: The command that repeats it.
    """
    where = f"{header['date']}, Python {header['Python']}, {header['machine']}"
    plotted = svg.plot(figure, [where, f"To repeat: {again}"])
    (folder / f"{figure.name}.svg").write_text(plotted, "utf-8")
    raw = {"header": header, "repeat": again, **asdict(figure)}
    (folder / f"{figure.name}.json").write_text(json.dumps(raw, indent=1) + "\n", "utf-8")
    print(folder / f"{figure.name}.svg")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m bench.curves", description=__doc__)
    names = [curve.name for curve in CURVES]
    parser.add_argument("--only", action="append", choices=names, help="one curve (repeatable)")
    parser.add_argument("--quick", action="store_true", help="fewer points, in some three minutes")
    parser.add_argument("--load", choices=("auto", "own", "wrk"), default="auto")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write the files")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
