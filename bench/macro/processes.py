"""The rate of two processes on two cores, compared with one process.

The handler computes for about a millisecond, so that the load generator, which shares the cores,
needs little of them.
"""

from collections.abc import Sequence

from bench.apps.raw import BODY
from bench.contestants import Contestants
from bench.macro.rounds import Arena, Result, Target
from bench.plan import Plan
from bench.servers import Contestant
from bench.stats import ratio
from bench.table import Row, failed

PROCESSES = "1 ms of computing, on all cores"


def measure(arena: Arena, contestants: Contestants, plan: Plan) -> tuple[list[Row], list[Result]]:
    """Measure each server with one process and with two, without pinning."""
    return measured(arena, contestants.processes(), plan)


def measured(
    arena: Arena, contestants: Sequence[Contestant], plan: Plan
) -> tuple[list[Row], list[Result]]:
    """Measure some of these servers."""
    target = Target(
        path="/work",
        expected=BODY,
        connections=plan.connections,
        rounds=plan.server_rounds,
        seconds=plan.server_seconds,
        warm_seconds=plan.warm_seconds,
    )
    results = arena.without_pinning().measure(contestants, target)
    return rows(results), results


def rows(results: Sequence[Result]) -> list[Row]:
    """Return the rates, with two processes as a multiple of one process of the same server."""
    found = []
    for result in results:
        server, _, _ = result.name.partition(", ")
        one = next((r for r in results if r.name == f"{server}, 1 process"), None)
        if result.failure or result.rate is None:
            found.append(failed(PROCESSES, result.name, result.failure))
            continue
        is_base = one is None or one is result or one.rate is None
        found.append(
            Row(
                group=PROCESSES,
                what=result.name,
                figure=result.rate,
                unit="req/s",
                ratio=None if is_base or one is None else ratio(result.rate, one.rate),
                baseline="" if is_base else "1 process",
                p99_ms=result.p99_ms,
                note=result.note,
            )
        )
    return found
