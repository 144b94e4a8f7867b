"""The time of a request in an application of growing size, without a server.

Prints the µs of every round: ``{"figures": {framework: {size: [µs, …]}}, "failures": {framework:
{size: why}}}``. All frameworks and sizes take turns:
``python -m bench.micro.sized --case static --values 10,10000``.
"""

import argparse
import gc
import json
from typing import Any

from bench.apps.sized import CASES, FRAMEWORKS, TEXT, Sized
from bench.micro import in_process
from bench.micro.in_process import Case, environ

# A turn is about this long, in seconds, so that a slow router does not take all the time.
_TURN = 0.04
_FEWEST = 64


def measure(case: str, values: list[int], rounds: int) -> dict[str, Any]:
    """Measure all in turns and return the figures of all rounds."""
    failures: dict[str, dict[str, str]] = {}
    running: list[tuple[str, str, Sized, int]] = []
    for name, framework in FRAMEWORKS.items():
        for value in values:
            try:
                sized = getattr(framework(), case)(value)
                running.append((name, str(value), sized, _requests(sized)))
            except Exception as error:
                failures.setdefault(name, {})[str(value)] = f"{type(error).__name__}: {error}"
    # The collection before each turn would look at all applications, for a second or more.
    gc.collect()
    gc.freeze()
    figures: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for name, size, sized, requests in running:
            figures.setdefault(name, {}).setdefault(size, []).append(turn(sized, requests))
    return {"figures": figures, "failures": failures}


def turn(sized: Sized, requests: int) -> float:
    """Return the mean µs of a number of requests to the paths, one after the other."""
    app, paths = sized
    return in_process.turn(app, [environ(paths[n % len(paths)], "") for n in range(requests)])


def _requests(sized: Sized) -> int:
    """Check each path, and return how many requests a turn has."""
    app, paths = sized
    for path in paths:
        in_process.check(app, Case(path=path, expected=TEXT))
    return max(_FEWEST, int(_TURN / (turn(sized, _FEWEST) / 1e6)))


def main() -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", choices=CASES, required=True)
    parser.add_argument("--values", required=True, help="the sizes, separated by commas")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    values = [int(value) for value in options.values.split(",")]
    print(json.dumps(measure(options.case, values, options.rounds)))


if __name__ == "__main__":
    main()
