"""What it costs to hand a job to a pool of one thread and to have its result.

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
    """Be the job: what is left is the pool's cost."""


def ping_pong(pool: Executor, jobs: int) -> None:
    """Have one job at a time."""
    for _ in range(jobs):
        pool.submit(nothing).result()


def burst(pool: Executor, jobs: int) -> None:
    """Submit all, then have all results."""
    for future in [pool.submit(nothing) for _ in range(jobs)]:
        future.result()


CASES: dict[str, Callable[[Executor, int], None]] = {
    "one job at a time": ping_pong,
    "a burst of jobs": burst,
}


def contestants() -> dict[str, tuple[Callable[[], Executor], AbstractContextManager[object]]]:
    """Return how each makes its pool, and what is current while it submits."""
    app = Dewar("bench", static_folder=None)
    return {
        BASELINE: (lambda: ThreadPoolExecutor(1), nullcontext()),
        "TaskPool": (lambda: TaskPool(threads=1), nullcontext()),
        "TaskPool, app carried": (lambda: TaskPool(threads=1), app.app_context()),
        "TaskPool, request carried": (lambda: TaskPool(threads=1), app.test_request_context("/x")),
    }


def measure(rounds: int, jobs: int) -> dict[str, dict[str, list[float]]]:
    """Let the contestants take turns and return every round's figure."""
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
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=10_000)
    options = parser.parse_args()
    print(json.dumps(measure(options.rounds, options.jobs)))


if __name__ == "__main__":
    main()
