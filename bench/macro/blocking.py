"""Handlers that block: the rate with 32 threads, and the latency that the threads add.

A burst of 4 s ends in the middle of its 80th wave of handlers, so the highest result is 98.8 %.
"""

from collections.abc import Sequence
from dataclasses import replace

from bench.apps.raw import BODY, SLEEP_SECONDS
from bench.contestants import Contestants
from bench.macro.rounds import Arena, Result, Target
from bench.plan import Plan
from bench.stats import ratio
from bench.table import Row, failed

THREADS = 32
IDEAL = THREADS / SLEEP_SECONDS
SLEEP = f"50 ms handlers, {THREADS} threads, one core"
QUICK = f"p99 of quick handlers, with 1 and {THREADS} threads"


def measure(arena: Arena, contestants: Contestants, plan: Plan) -> tuple[list[Row], list[Result]]:
    """Measure sleeping handlers on all servers with threads, then quick ones on Dewar."""
    target = Target(
        path="/sleep",
        expected=BODY,
        # Twice the threads, so that a thread that has finished always has a next request.
        connections=2 * THREADS,
        rounds=plan.sleep_rounds,
        seconds=plan.sleep_seconds,
    )
    asleep = arena.measure(contestants.sleepers(), target)
    quick = arena.measure(
        [contestants.dewar("bench.apps.raw:app", threads) for threads in (1, THREADS)],
        replace(
            target,
            path="/",
            connections=plan.connections,
            rounds=plan.server_rounds,
            seconds=plan.server_seconds,
            warm_seconds=plan.warm_seconds,
        ),
    )
    return [*sleep_rows(asleep), *quick_rows(quick)], [*asleep, *quick]


def sleep_rows(results: Sequence[Result]) -> list[Row]:
    """Return the rate of each server as a share of the ideal rate."""
    return [
        failed(SLEEP, result.name, result.failure)
        if result.failure or result.rate is None
        else Row(
            group=SLEEP,
            what=result.name,
            figure=result.rate / IDEAL * 100,
            unit="% of ideal",
            p99_ms=result.p99_ms,
            note=", ".join(filter(None, [f"{result.rate:.0f} of {IDEAL:.0f} req/s", result.note])),
        )
        for result in results
    ]


def quick_rows(results: Sequence[Result]) -> list[Row]:
    """Return the 99th percentiles, each as a multiple of the first: one thread."""
    one = results[0]
    return [
        failed(QUICK, result.name, result.failure)
        if result.failure
        else Row(
            group=QUICK,
            what=result.name,
            figure=result.p99_ms,
            unit="ms",
            ratio=ratio(result.p99_ms, one.p99_ms) if result is not one else None,
            baseline=one.name.split(", ")[1] if result is not one else "",
            note=result.note,
        )
        for result in results
    ]
