"""The time of a job that one process submits and another one runs: Dewar, Huey, RQ and Celery.

Prints the µs of every round, as ``{"figures": {case: {contestant: [µs, …]}}, "failures": {…}}``.
The contestants take turns, each with a worker of its own that is idle meanwhile. Dewar and Huey
keep their jobs in SQLite, RQ and Celery in a Redis of their own. RQ does not fork for each job.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

#: Submits a job with a number and its seconds; returns a function that waits for its result.
Submit = Callable[[int, float], Callable[[], object]]
# How long a worker may take for a job, or a server to start, in seconds.
_TIMEOUT = 60.0


@contextmanager
def _running(*command: str, **environment: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=sys.stderr
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def dewar(folder: Path) -> Iterator[Submit]:
    """Start ``dewar tasks work`` on an SQLite ledger."""
    os.environ["BENCH_LEDGER"] = str(folder / "jobs.sqlite3")
    from bench.apps import dewar_jobs

    with _running(sys.executable, "-m", "dewar", "--app", dewar_jobs.__name__, "tasks", "work"):
        yield lambda number, seconds: dewar_jobs.echo.submit(number, seconds).result
        dewar_jobs.tasks.stop()


@contextmanager
def huey(folder: Path) -> Iterator[Submit]:
    """Start a consumer of Huey on a file of SQLite, with as many threads as Dewar has."""
    os.environ["BENCH_HUEY"] = str(folder / "huey.sqlite3")
    from bench.apps import huey_jobs

    consumer = "huey.bin.huey_consumer"
    with _running(sys.executable, "-m", consumer, "bench.apps.huey_jobs.huey", "-w", "4", "-q"):

        def submit(number: int, seconds: float) -> Callable[[], object]:
            result: Any = huey_jobs.echo(number, seconds)
            return lambda: result.get(blocking=True, timeout=_TIMEOUT)

        yield submit


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    """Start a Redis and provide its port."""
    server = shutil.which("redis-server")
    if server is None:
        raise LookupError("redis-server is not installed")
    from redis import ConnectionError as NoConnection
    from redis import Redis

    port = _free_port()
    where = ["--port", str(port), "--dir", str(folder), "--bind", "127.0.0.1"]
    with _running(server, *where, "--save", ""):
        _wait(Redis(port=port).ping, NoConnection)
        yield port


@contextmanager
def rq(folder: Path) -> Iterator[Submit]:
    """Start a worker of RQ that runs jobs in its own process."""
    from redis import Redis
    from rq import Queue

    from bench.apps.work import work

    worker = [sys.executable, "-m", "rq.cli", "worker", "-q", "--worker-class", "rq.SimpleWorker"]
    with _redis(folder) as port, _running(*worker, "--url", f"redis://127.0.0.1:{port}"):
        queue = Queue(connection=Redis(port=port))

        def submit(number: int, seconds: float) -> Callable[[], object]:
            job = queue.enqueue(work, number, seconds)

            def result() -> object:
                found: Any = job.latest_result(timeout=int(_TIMEOUT))
                return found.return_value

            return result

        yield submit


@contextmanager
def celery(folder: Path) -> Iterator[Submit]:
    """Start a worker of Celery with two processes, of the kind that it has by default."""
    with _redis(folder) as port:
        os.environ["BENCH_REDIS"] = f"redis://127.0.0.1:{port}"
        from bench.apps import celery_jobs

        worker = [sys.executable, "-m", "celery", "-A", celery_jobs.__name__, "-q", "worker"]
        with _running(*worker, "-c", "2", "-l", "ERROR", "--without-gossip", "--without-mingle"):

            def submit(number: int, seconds: float) -> Callable[[], object]:
                result: Any = celery_jobs.echo.delay(number, seconds)
                return lambda: result.get(timeout=_TIMEOUT)

            yield submit


def one_by_one(submit: Submit, jobs: int, seconds: float = 0.0) -> None:
    """Submit a job and wait for its result, one at a time."""
    for number in range(jobs):
        _check(submit(number, seconds)(), number)


def all_at_once(submit: Submit, jobs: int, seconds: float = 0.0) -> None:
    """Submit all jobs, then wait for all results."""
    for number, result in enumerate([submit(number, seconds) for number in range(jobs)]):
        _check(result(), number)


CONTESTANTS = {
    "Dewar, SQLite": dewar,
    "Huey, SQLite": huey,
    "RQ, Redis": rq,
    "Celery, Redis": celery,
}
CASES: dict[str, Callable[[Submit, int], None]] = {
    "one by one": one_by_one,
    "all results of a burst": all_at_once,
    "jobs of 1 ms, one by one": partial(one_by_one, seconds=0.001),
    "jobs of 1 ms, all results of a burst": partial(all_at_once, seconds=0.001),
}


def measure(submits: dict[str, Submit], rounds: int, jobs: int) -> dict[str, Any]:
    """Measure the contestants in turns and return the figures of all rounds."""
    figures: dict[str, dict[str, list[float]]] = {
        case: {name: [] for name in submits} for case in CASES
    }
    for _ in range(rounds):
        for case, run in CASES.items():
            for name, submit in submits.items():
                began = time.perf_counter()
                run(submit, jobs)
                figures[case][name].append((time.perf_counter() - began) / jobs * 1e6)
    return figures


def sweep(submits: dict[str, Submit], rounds: int, values: list[int]) -> dict[str, Any]:
    """Measure bursts of several sizes, in turns: ``{contestant: {size: [µs, …]}}``."""
    figures: dict[str, dict[str, list[float]]] = {
        name: {str(value): [] for value in values} for name in submits
    }
    for _ in range(rounds):
        for value in values:
            for name, submit in submits.items():
                began = time.perf_counter()
                all_at_once(submit, value)
                figures[name][str(value)].append((time.perf_counter() - began) / value * 1e6)
    return figures


def main() -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--values", help="sizes of bursts instead, separated by commas")
    options = parser.parse_args()
    submits: dict[str, Submit] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, start in CONTESTANTS.items():
            try:
                submit = stack.enter_context(start(Path(folder)))
                _check(submit(1, 0.0)(), 1)  # its worker has begun
                one_by_one(submit, 20)
            except (ImportError, LookupError) as error:
                failures[name] = str(error)
            else:
                submits[name] = submit
        if options.values is None:
            output = {
                "figures": measure(submits, options.rounds, options.jobs),
                "failures": failures,
            }
        else:
            values = [int(value) for value in options.values.split(",")]
            output = {
                "figures": sweep(submits, options.rounds, values),
                "failures": {name: {"": why} for name, why in failures.items()},
            }
    print(json.dumps(output))


def _check(found: object, expected: int) -> None:
    if found != expected:
        raise ValueError(f"A job returned {found!r} instead of {expected}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(answers: Callable[[], object], error: type[Exception]) -> None:
    until = time.monotonic() + _TIMEOUT
    while True:
        try:
            answers()
        except error:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main()
