"""The server groups: the requests per second of one core, and the 99th percentile."""

from collections.abc import Sequence

from bench.contestants import Contestants
from bench.macro.rounds import Arena, Result, Target
from bench.plan import Plan
from bench.servers import Contestant
from bench.stats import ratio
from bench.table import Row, failed

RAW = "server on one core: raw WSGI, GET /"
PAIRS = "framework on server, one core: GET /user/<int>?q="
BASELINE = "gunicorn"


def measure(arena: Arena, contestants: Contestants, plan: Plan) -> tuple[list[Row], list[Result]]:
    """Measure the servers alone, then the pairs of framework and server."""
    raw = _group(arena, contestants.raw(), plan, ("/", b"Hello, World!"))
    pairs = _group(arena, contestants.pairs(), plan, ("/user/42?q=tea", b"42 GET tea"))
    return [*rows(RAW, raw), *rows(PAIRS, pairs)], [*raw, *pairs]


def _group(
    arena: Arena, contestants: Sequence[Contestant], plan: Plan, ask: tuple[str, bytes]
) -> list[Result]:
    target = Target(
        path=ask[0],
        expected=ask[1],
        connections=plan.connections,
        rounds=plan.server_rounds,
        seconds=plan.server_seconds,
        warm_seconds=plan.warm_seconds,
    )
    return arena.measure(contestants, target)


def rows(
    group: str, results: Sequence[Result], baseline: str = BASELINE, unit: str = "req/s"
) -> list[Row]:
    """Return the rows of one group, each as a multiple of the server with *baseline* in its name.

    By default that is gunicorn, the usual choice.
    """
    base = next((result for result in results if baseline in result.name), None)
    return [_row(group, result, base, unit) for result in results]


def _row(group: str, result: Result, baseline: Result | None, unit: str) -> Row:
    if result.failure:
        return failed(group, result.name, result.failure)
    other = baseline if baseline is not result else None
    return Row(
        group=group,
        what=result.name,
        figure=result.rate,
        unit=unit,
        ratio=ratio(result.rate, other.rate) if other else None,
        baseline=other.name.split(",")[0] if other else "",
        p99_ms=result.p99_ms,
        note=result.note,
    )
