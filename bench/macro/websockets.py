"""The websocket group: how many messages a second come back from one core."""

from collections.abc import Sequence
from dataclasses import replace

from bench.contestants import Contestants
from bench.generator import EchoGenerator
from bench.macro import throughput
from bench.macro.rounds import Arena, Result, Target
from bench.plan import Plan
from bench.table import Row

GROUP = "WebSockets on one core: the echo of {size:,} bytes"
SIZES = (16, 60_000)
BASELINE = "websockets-sansio"


def measure(arena: Arena, contestants: Contestants, plan: Plan) -> tuple[list[Row], list[Result]]:
    """Measure the servers with short messages, then with long ones."""
    target = Target(
        path="/",
        expected=b"Hello, World!",
        connections=plan.connections,
        rounds=plan.server_rounds,
        seconds=plan.server_seconds,
        warm_seconds=plan.warm_seconds,
    )
    found: list[Row] = []
    results: list[Result] = []
    for size in SIZES:
        generator = EchoGenerator(machine=arena.machine, size=size)
        measured = arena.measure(contestants.echoes(), replace(target, generator=generator))
        found += rows(GROUP.format(size=size), measured)
        results += measured
    return found, results


def rows(group: str, results: Sequence[Result]) -> list[Row]:
    """Return the rows of one size, each as a multiple of uvicorn with the same library."""
    return throughput.rows(group, results, BASELINE, "messages/s")
