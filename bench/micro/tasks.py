"""The time to submit a job to a pool of one thread and get its result.

Prints the µs of every round: ``{case: {contestant: [µs, …]}}``. The contestants take turns.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

from dewar import Dewar
from dewar.tasks.pool import TaskPool

BASELINE = "ThreadPoolExecutor"


def nothing() -> None:
    """Do nothing: only the time of the pool is measured."""


def ping_pong(pool: Executor, jobs: int) -> None:
    """Submit a job and wait for its result, one at a time."""
    for _ in range(jobs):
        pool.submit(nothing).result()


def burst(pool: Executor, jobs: int) -> None:
    """Submit all jobs, then wait for all results."""
    for future in [pool.submit(nothing) for _ in range(jobs)]:
        future.result()


CASES: dict[str, Callable[[Executor, int], None]] = {
    "one job at a time": ping_pong,
    "a burst of jobs": burst,
}


def contestants() -> dict[str, tuple[Callable[[], Executor], AbstractContextManager[object]]]:
    """Return for each contestant a function that creates its pool, and its context."""
    app = Dewar("bench", static_folder=None)
    return {
        BASELINE: (lambda: ThreadPoolExecutor(1), nullcontext()),
        "TaskPool": (lambda: TaskPool(threads=1), nullcontext()),
        "TaskPool, app carried": (lambda: TaskPool(threads=1), app.app_context()),
        "TaskPool, request carried": (lambda: TaskPool(threads=1), app.test_request_context("/x")),
    }


def measure(rounds: int, jobs: int) -> dict[str, dict[str, list[float]]]:
    """Measure the contestants in turns and return the figures of all rounds."""
    figures: dict[str, dict[str, list[float]]] = {case: {} for case in CASES}
    for _ in range(rounds):
        for case, run in CASES.items():
            for name, (make, current) in contestants().items():
                gc.collect()
                with make() as pool, current:
                    pool.submit(nothing).result()
                    began = time.perf_counter()
                    run(pool, jobs)
                    took = (time.perf_counter() - began) / jobs * 1e6
                figures[case].setdefault(name, []).append(took)
    return figures


def main() -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=10_000)
    options = parser.parse_args()
    print(json.dumps(measure(options.rounds, options.jobs)))


if __name__ == "__main__":
    main()
