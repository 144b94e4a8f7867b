"""The table of all curves."""

from dataclasses import replace

from bench.apps.bodies import body_of
from bench.apps.raw import SLEEP_SECONDS
from bench.contestants import THREADS
from bench.curves.curve import BesideCrowd, Curve, InProcess, OtherServers, OverWire
from bench.generator import EchoGenerator, ScriptGenerator
from bench.macro.coroutines import ASYNC, QUART
from bench.macro.rounds import Target
from bench.run import Run
from bench.servers import Contestant

_REQUESTS, _PROCESS_TIME = "requests per second", "µs per request"
_SIZES, _FEW_SIZES = (1, 100_000, 10_000_000, 100_000_000), (1, 100_000, 10_000_000)


def _connected(_run: Run, target: Target, count: int) -> Target:
    # wrk opens all connections first, and that is a part of its time.
    seconds = {1000: target.seconds + 1, 10_000: target.seconds + 4}.get(count, target.seconds)
    return replace(target, connections=count, seconds=seconds)


def _of_size(target: Target, size: int) -> Target:
    # What is in progress at the end does not count, so there must be little of it.
    connections = 8 if size <= 1_000_000 else 2
    seconds = target.seconds + 2 * (size >= 100_000_000)
    return replace(target, connections=connections, seconds=seconds)


def _upload(run: Run, target: Target, size: int) -> Target:
    usual = run.arena.generator
    sent = ScriptGenerator(
        machine=usual.machine, wrk=usual.wrk, script="upload", arguments=(str(size),)
    )
    return replace(_of_size(target, size), path="/up", expected=b"0", generator=sent)


def _download(_run: Run, target: Target, size: int) -> Target:
    return replace(_of_size(target, size), path=f"/down/{size}", expected=body_of(size))


def _megabytes(rate: float, size: int) -> float:
    return rate * size / 1e6


def _quick(_run: Run, target: Target, _threads: int) -> Target:
    return replace(target, connections=128)


def _asleep(_run: Run, target: Target, threads: int) -> Target:
    # Twice the threads, so that a thread that has finished always has a next request.
    return replace(target, path="/sleep", connections=2 * threads)


def _of_ideal(rate: float, threads: int) -> float:
    return 100 * rate * SLEEP_SECONDS / threads


def _working(_run: Run, target: Target, _processes: int) -> Target:
    return replace(target, path="/work")


def _coroutine_views(run: Run) -> list[Contestant]:
    # With granian as well, there would be more lines than a reader can tell apart.
    others = [one for one in run.contestants.asynchronous() if "granian" not in one.name]
    return [*_with_crowd(run), *others]


def _with_crowd(run: Run) -> list[Contestant]:
    quart = run.contestants.uvicorn(QUART, "Quart + uvicorn")
    return [run.contestants.dewar(ASYNC, THREADS), quart]


def _echo_of(run: Run, target: Target, size: int) -> Target:
    return replace(target, generator=EchoGenerator(machine=run.arena.machine, size=size))


def _echoes(run: Run, target: Target, count: int) -> Target:
    return replace(_echo_of(run, target, 16), connections=count)


CURVES = (
    Curve(
        name="routes",
        title="Routing in process: routes without variables",
        x_label="routes of the application",
        y_label=_PROCESS_TIME,
        values=(10, 100, 1000, 10_000),
        quick=(10, 1000),
        measure=InProcess(script="bench.micro.sized", arguments=("--case", "static")),
    ),
    Curve(
        name="routes-variables",
        title="Routing in process: routes with <int:id>/<name>",
        x_label="routes of the application",
        y_label=_PROCESS_TIME,
        values=(10, 100, 1000, 10_000),
        quick=(10, 1000),
        measure=InProcess(script="bench.micro.sized", arguments=("--case", "variables")),
    ),
    Curve(
        name="hooks",
        title="Hooks in process: half of them before the view, half after it",
        x_label="hooks",
        y_label=_PROCESS_TIME,
        values=(0, 2, 4, 8, 12, 16, 20),
        quick=(0, 2, 20),
        measure=InProcess(script="bench.micro.sized", arguments=("--case", "hooks")),
        is_x_log=False,
    ),
    Curve(
        name="blueprints",
        title="Nested blueprints in process (Falcon: the same path)",
        x_label="blueprints around the view",
        y_label=_PROCESS_TIME,
        values=(0, 1, 2, 3, 5, 8),
        quick=(0, 2, 5),
        measure=InProcess(script="bench.micro.sized", arguments=("--case", "nested")),
        is_x_log=False,
    ),
    Curve(
        name="connections",
        title="Connections, each with one request in progress: raw WSGI",
        x_label="connections",
        y_label=_REQUESTS,
        values=(1, 10, 100, 1000, 10_000),
        quick=(1, 100, 10_000),
        measure=OverWire(contestants=lambda run: run.contestants.crowded(), target=_connected),
        has_latencies=True,
    ),
    Curve(
        name="threads",
        title="Threads, with 128 connections and a quick view: raw WSGI",
        x_label="threads",
        y_label=_REQUESTS,
        values=(1, 4, 16, 64, 128),
        quick=(1, 128),
        measure=OtherServers(
            contestants=lambda run, threads: run.contestants.threaded(threads), target=_quick
        ),
        has_latencies=True,
    ),
    Curve(
        name="threads-blocked",
        title="Threads, with views that block for 50 ms",
        x_label="threads",
        y_label="% of what that many threads can do at most",
        values=(1, 4, 16, 64, 128),
        quick=(1, 128),
        measure=OtherServers(
            contestants=lambda run, threads: run.contestants.threaded(threads),
            target=_asleep,
            scale=_of_ideal,
        ),
    ),
    Curve(
        name="upload",
        title="Bodies of requests, which the application reads: raw WSGI",
        x_label="bytes",
        y_label="MB/s",
        values=_SIZES,
        quick=_FEW_SIZES,
        measure=OverWire(
            contestants=lambda run: run.contestants.bodies(), target=_upload, scale=_megabytes
        ),
    ),
    Curve(
        name="download",
        title="Bodies of responses: raw WSGI",
        x_label="bytes",
        y_label="MB/s",
        values=_SIZES,
        quick=_FEW_SIZES,
        measure=OverWire(
            contestants=lambda run: run.contestants.bodies(), target=_download, scale=_megabytes
        ),
    ),
    Curve(
        name="coroutines",
        title="Coroutine views: async def hello()",
        x_label="connections",
        y_label=_REQUESTS,
        values=(1, 10, 100, 1000),
        quick=(1, 100),
        measure=OverWire(contestants=_coroutine_views, target=_connected),
    ),
    Curve(
        name="coroutines-waiting",
        title="A synchronous view beside coroutines that wait for a second",
        x_label="coroutines that wait",
        y_label="99th percentile of the synchronous view, ms",
        values=(1, 100, 1000, 5000),
        quick=(1, 5000),
        measure=BesideCrowd(contestants=_with_crowd),
    ),
    Curve(
        name="websockets",
        title="WebSockets: the echo of 16 bytes",
        x_label="connections",
        y_label="messages per second",
        values=(1, 10, 100, 1000),
        quick=(1, 100),
        measure=OverWire(contestants=lambda run: run.contestants.echoes(), target=_echoes),
    ),
    Curve(
        name="websockets-size",
        title="WebSockets: the echo of messages of any size",
        x_label="bytes",
        y_label="messages per second",
        values=(1, 100, 10_000, 1_000_000),
        quick=(1, 10_000),
        measure=OverWire(contestants=lambda run: run.contestants.echoes(), target=_echo_of),
    ),
    Curve(
        name="jobs",
        title="Jobs from one process to another, all results awaited",
        x_label="jobs submitted at once",
        y_label="ms per job",
        values=(1, 10, 100, 500),
        quick=(1, 100),
        measure=InProcess(
            script="bench.micro.job_queues",
            rounds=lambda plan: plan.queue_rounds,
            scale=lambda microseconds, _jobs: microseconds / 1000,
        ),
    ),
    Curve(
        name="processes",
        title="Processes on all cores, with views that compute for 1 ms",
        x_label="processes",
        y_label=_REQUESTS,
        values=(1, 2),
        quick=(1, 2),
        measure=OtherServers(
            contestants=lambda run, count: run.contestants.processes((count,)),
            target=_working,
            is_pinned=False,
        ),
        is_x_log=False,
    ),
)  # fmt: skip
