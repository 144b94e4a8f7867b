"""Coroutine views: the time of a quick one, and the effect of thousands that wait."""

import subprocess
import sys
import time
from collections.abc import Sequence

from bench import shot
from bench.contestants import THREADS, Contestants
from bench.macro.rounds import Arena, Result, Target, environment
from bench.plan import Plan
from bench.servers import Contestant, Server, ServerFailedError
from bench.stats import ratio
from bench.table import Row, failed

SYNC, ASYNC = "bench.apps.dewar_app:app", "bench.apps.async_app:app"
QUART = "bench.apps.quart_app:app"
QUICK = "a quick view, one core: GET /"
CROWD = "views that await one second, one process, one core"
BESIDE = "a synchronous view beside them"
BODY = b"Hello, World!"
# The connections to the synchronous view: few, because they are not the load.
_CONNECTIONS = 2
_PATIENCE = 60.0


def measure(arena: Arena, contestants: Contestants, plan: Plan) -> tuple[list[Row], list[Result]]:
    """Measure the same quick view as function and as coroutine, then a waiting crowd."""
    target = Target(
        path="/",
        expected=BODY,
        connections=plan.connections,
        rounds=plan.server_rounds,
        seconds=plan.server_seconds,
        warm_seconds=plan.warm_seconds,
    )
    kinds = [
        contestants.dewar(SYNC, THREADS, "def view"),
        contestants.dewar(ASYNC, THREADS, "async def view"),
        contestants.uvicorn(QUART, "async def view, Quart on uvicorn"),
    ]
    quick = arena.measure(kinds, target)
    rows = quick_rows(quick)
    results = list(quick)
    peer = contestants.uvicorn(QUART, "Quart on uvicorn")
    for contestant in (contestants.dewar(ASYNC, THREADS), peer):
        waiting = crowd(arena, contestant, plan)
        rows += crowd_rows(plan.crowd, waiting)
        results += waiting
    return rows, results


def crowd(arena: Arena, contestant: Contestant, plan: Plan) -> list[Result]:
    """Return the waves of a crowd, and the shots of a synchronous view without and with it."""
    parts = (f"{plan.crowd:,} requests", "alone", "beside them")
    results = [Result(name=f"{contestant.name}, {part}") for part in parts]
    waves, alone, beside = results
    server = _server(arena, contestant)
    try:
        with server:
            server.check("/beside", BODY)
            for _ in range(plan.crowd_rounds):
                alone.shots.append(_ask_beside(arena, server, plan))
                with _begun(arena, server, plan.crowd) as process:
                    beside.shots.append(_ask_beside(arena, server, plan))
                    waves.shots += _ended(process, server)
    except (ServerFailedError, RuntimeError, subprocess.TimeoutExpired) as error:
        for result in results:
            result.failure = str(error)
    return results


def waiting(arena: Arena, contestant: Contestant, plan: Plan) -> list[Result]:
    """Return the shots of a synchronous view without and with a crowd that does nothing but wait.

    That of `crowd` begins and goes on all the time, which gives the server much to do.
    """
    alone, beside = (Result(name=f"{contestant.name}, {part}") for part in ("alone", "beside them"))
    server = _server(arena, contestant)
    try:
        with server:
            server.check("/beside", BODY)
            for _ in range(plan.crowd_rounds):
                alone.shots.append(_ask_beside(arena, server, plan))
                with _begun(arena, server, plan.crowd, "/wait/") as process:
                    _wait_until_waiting(server, plan.crowd)
                    beside.shots.append(_ask_beside(arena, server, plan))
                    # Before they have their responses, or there would be another wave.
                    process.stdin.close()  # type: ignore[union-attr]  # it has one
                    process.stdin = None
                    server.check("/open", b"open")
                    _ended(process, server)
    except (ServerFailedError, RuntimeError, subprocess.TimeoutExpired) as error:
        alone.failure = beside.failure = str(error)
    return [alone, beside]


def _server(arena: Arena, contestant: Contestant) -> Server:
    return Server(
        contestant=contestant,
        folder=arena.root,
        environment=environment(arena.root),
        prefix=arena.machine.pin_server(),
    )


def _wait_until_waiting(server: Server, count: int) -> None:
    """Wait until all clients of a crowd wait.

    Raises:
        ServerFailedError: If they do not within a minute.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return server.check("/waiting", str(count).encode())
        except ServerFailedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _ask_beside(arena: Arena, server: Server, plan: Plan) -> shot.Shot:
    return arena.generator.fire(server.port, "/beside", _CONNECTIONS, plan.crowd_seconds)


def _begun(
    arena: Arena, server: Server, count: int, path: str = "/sleep/"
) -> "subprocess.Popen[str]":
    """Start the process of the crowd, and return it when all clients are connected."""
    command = [sys.executable, "-m", "bench.crowd", "--port", str(server.port), "--path", path]
    process = subprocess.Popen(
        # Low priority: the other client shares this core, and its waiting time is measured.
        ["nice", "-n", "15", *arena.machine.pin_load(), *command, "--count", str(count)],
        cwd=arena.root,
        env=dict(environment(arena.root)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None or process.stdout.readline() != "connected\n":
        process.communicate()
        raise ServerFailedError(f"the crowd could not connect; {server.last_line()}")
    return process


def _ended(process: "subprocess.Popen[str]", server: Server) -> list[shot.Shot]:
    """Stop the crowd after its wave, and return all waves."""
    said, _ = process.communicate()  # closes its standard input, which stops it
    if process.returncode:
        raise ServerFailedError(f"the crowd failed; {server.last_line()}")
    return [shot.from_json(line) for line in said.splitlines()]


def quick_rows(results: Sequence[Result]) -> list[Row]:
    """Return the rate of each kind, as a multiple of the synchronous view."""
    plain = results[0]
    return [
        failed(QUICK, result.name, result.failure)
        if result.failure
        else Row(
            group=QUICK,
            what=result.name,
            figure=result.rate,
            unit="req/s",
            ratio=ratio(result.rate, plain.rate) if result is not plain else None,
            baseline="def view" if result is not plain else "",
            p99_ms=result.p99_ms,
            note=result.note,
        )
        for result in results
    ]


def crowd_rows(count: int, results: Sequence[Result]) -> list[Row]:
    """Return the time of a wave, its wrong responses, and the p99 of the synchronous view."""
    waves, alone, beside = results
    if waves.failure or waves.rate is None:
        return [failed(CROWD, waves.name, waves.failure)]
    wrong = sum(wave.errors for wave in waves.shots)
    return [
        Row(
            group=CROWD,
            what=waves.name,
            figure=count / waves.rate,
            unit="s for all",
            p99_ms=waves.p99_ms,
            note=f"{wrong} wrong responses of {count * len(waves.shots):,}",
        ),
        *(
            Row(
                group=BESIDE,
                what=result.name,
                figure=result.p99_ms,
                unit="ms p99",
                ratio=ratio(result.p99_ms, alone.p99_ms) if result is beside else None,
                baseline="alone" if result is beside else "",
                note=result.note,
            )
            for result in (alone, beside)
        ),
    ]
