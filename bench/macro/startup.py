"""The startup group: how long imports and first answers take, and the memory of the workers.

A round starts each server anew. The time is that from the start of the command to the end of the
first response. Bytecode is compiled before, as pip does at installation.
"""

import http.client
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from bench import stats
from bench.apps.raw import BODY
from bench.contestants import Contestants
from bench.macro.rounds import Arena, environment
from bench.memory import Footprint, children, family, footprint
from bench.plan import Plan
from bench.servers import Contestant, Server, ServerFailedError
from bench.table import Row, failed

IMPORT = "start-up: import"
ANSWER = "start-up: from the command to the first answer"
WORKER = "memory of the largest worker after 1,000 requests, without what others share"
ALL = "memory of all processes together"
PEER = "Flask + gunicorn"
_MODULES = {"Dewar": "dewar", "Flask": "flask"}
# All connections are open at the same time, so that each worker gets some.
_CONNECTIONS, _REQUESTS = 20, 50
# How often a server is asked whether it answers, in seconds.
_LOOK = 0.001


@dataclass(kw_only=True)
class Start:
    """The starts of one contestant.

    Attributes:
        seconds: Until the first answer, by round.
        workers: The largest worker of each round, in MiB that no other process has.
        totals: The memory of all processes of each round, in MiB.
        shown: The memory of that worker in the last round.
        failure: Why there are no figures.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    workers: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    shown: Footprint | None = None
    failure: str = ""


def measure(arena: Arena, contestants: Contestants, plan: Plan) -> tuple[list[Row], list[Start]]:
    """Measure the imports, then the servers, in turns."""
    imports = [Start(name=name) for name in _MODULES]
    for _ in range(plan.start_rounds):
        for one in imports:
            _import(one, arena, str(contestants.venv.python))
    starts = [Start(name=each.name) for each in contestants.started()]
    for _ in range(plan.start_rounds):
        for start, contestant in zip(starts, contestants.started(), strict=True):
            _start(start, contestant, arena.without_pinning())
    return [*import_rows(imports), *rows(starts)], [*imports, *starts]


def _import(one: Start, arena: Arena, python: str) -> None:
    began = time.perf_counter()
    done = subprocess.run(
        [python, "-c", f"import {_MODULES[one.name]}"],
        cwd=arena.root,
        capture_output=True,
        check=False,
    )
    one.seconds.append(time.perf_counter() - began)
    if done.returncode:
        one.failure = done.stderr.decode(errors="replace")[-200:]


def _start(start: Start, contestant: Contestant, arena: Arena) -> None:
    """Start a server, and note its first answer and its memory."""
    if start.failure:
        return
    server = Server(
        contestant=contestant, folder=arena.root, environment=environment(arena.root), look=_LOOK
    )
    try:
        began = time.perf_counter()
        with server:
            server.check("/", BODY)
            start.seconds.append(time.perf_counter() - began)
            _ask(server.port)
            _weigh(start, server.pid)
    except (ServerFailedError, OSError, http.client.HTTPException) as error:
        start.failure = str(error)


def _ask(port: int) -> None:
    """Send 1,000 requests."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)))
            for _ in range(_CONNECTIONS)
        ]
        for client in clients:
            client.connect()
        for _ in range(_REQUESTS):
            for client in clients:
                client.request("GET", "/")
                client.getresponse().read()


def _weigh(start: Start, pid: int) -> None:
    found = {each: footprint(each) for each in family(pid)}
    # The largest, because with few connections a worker may have answered nothing.
    workers = (found[each] for each in found if not children(each))
    start.shown = max(workers, key=lambda one: one.uss)
    start.workers.append(start.shown.uss)
    start.totals.append(sum(one.pss for one in found.values()))


def import_rows(imports: Sequence[Start]) -> list[Row]:
    """Return the time of each import, as a multiple of Flask's; Python's own start is in it."""
    return _compared(IMPORT, imports, lambda one: one.seconds, ("ms", 1000), "Flask")


def rows(starts: Sequence[Start]) -> list[Row]:
    """Return the rows, each as a multiple of the peer with as many processes."""
    return [
        *_compared(ANSWER, starts, lambda one: one.seconds, ("ms", 1000), PEER),
        *_compared(WORKER, starts, lambda one: one.workers, ("MiB", 1), PEER),
        *_compared(ALL, starts, lambda one: one.totals, ("MiB", 1), PEER),
    ]


def paired(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return the median of the ratios of each round; None if there are none."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=False) if other]
    return stats.median(ratios) if ratios else None


def _compared(
    group: str,
    starts: Sequence[Start],
    figures: Callable[[Start], Sequence[float]],
    unit: tuple[str, float],
    peer: str,
) -> list[Row]:
    found = []
    for start in starts:
        if start.failure:
            found.append(failed(group, start.name, start.failure))
            continue
        name, _, mode = start.name.partition(", ")
        wanted = f"{peer}, {mode}" if mode else peer
        base = next((one for one in starts if one.name == wanted and not one.failure), None)
        is_base = name == peer or base is None
        found.append(
            Row(
                group=group,
                what=start.name,
                figure=stats.median(figures(start)) * unit[1],
                unit=unit[0],
                ratio=None if base is None or is_base else paired(figures(start), figures(base)),
                baseline="" if is_base else wanted,
                note=_note(start) if group == WORKER else "",
            )
        )
    return found


def _note(start: Start) -> str:
    return "" if start.shown is None else f"RSS {start.shown.rss:.1f}, PSS {start.shown.pss:.1f}"
