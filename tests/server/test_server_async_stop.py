"""Stopping, reloading and recycling while coroutine views wait."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from asynctools import REQUEST, Gates, begin, gated_app, lead_on_loop, pool_of
from dewar import Dewar
from dewar.server import Server, Settings
from faulttools import Running, gate, running, until_refused
from openfiles import open_files
from polling import eventually
from servertools import Client, Serve

pytestmark = pytest.mark.usefixtures("calm_loop")


@pytest.mark.parametrize("threads", [1, 4])
def test_a_stop_waits_for_what_waits(serve: Serve, gates: Gates, threads: int) -> None:
    """Each is answered, and told that the connection ends."""
    served = serve(gated_app(gates), threads=threads)
    clients = [begin(served, gates, "wait", f"w{number}") for number in range(10)]
    stream = served.client()
    stream.send(REQUEST % b"/stream/s")
    gates.entered("s0")
    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(served.server.stop(20)))
    stopper.start()
    eventually(lambda: pool_of(served)._duties._server_context.draining)
    gates.open_all()
    for number, client in enumerate(clients):
        _, fields, body = client.answer()
        assert (fields[b"connection"], body) == (b"close", f"w{number}".encode())
    gates.open("s1")
    gates.open("s2")
    assert stream.answer()[2] == b"s0;s1;s2;"
    stopper.join(20)
    assert stopped == [True]


@pytest.mark.parametrize("kind", ["async", "sync", "both"])
@pytest.mark.parametrize("threads", [1, 3])
def test_what_waits_longer_than_a_stop_is_cancelled(
    serve: Serve, gates: Gates, kind: str, threads: int
) -> None:
    """And all of its teardown functions run, though no thread of the pool is left for them."""
    app = gated_app(gates)

    @app.get("/told/<name>")
    async def told(name: str) -> str:
        try:
            await gates.wait(name)
        finally:
            gates.note("cancelled")
        return name

    if kind != "sync":

        @app.teardown_request
        async def tear_down(error: BaseException | None) -> None:
            await asyncio.sleep(0)
            gates.note("torn down")

    if kind != "async":

        @app.teardown_request
        def tear_down_here(error: BaseException | None) -> None:
            gates.note("torn down here")

    served = serve(app, threads=threads)
    clients = [begin(served, gates, "told", f"w{number}") for number in range(10)]
    assert served.server.stop(0)
    assert served.server.stop(0)
    seen = gates.seen()
    assert seen.count("cancelled") == 10
    assert seen.count("torn down") == (0 if kind == "sync" else 10)
    assert seen.count("torn down here") == (0 if kind == "async" else 10)
    for client in clients:
        assert client.is_closed()


def test_a_stop_while_every_thread_is_held_runs_what_has_to_run(serve: Serve, gates: Gates) -> None:
    """On threads of its own; the stop tells that it had to leave one behind."""
    app = gated_app(gates)

    @app.teardown_request
    def tear_down(error: BaseException | None) -> None:
        gates.note("torn down")

    served = serve(app, threads=1)
    begin(served, gates, "wait", "w")
    begin(served, gates, "hold", "h")
    assert served.server.stop(0) is False
    gates.entered("torn down")
    gates.open("h")
    gates.entered("torn down")


def test_a_view_that_does_not_end_when_it_is_cancelled_is_told_of(
    serve: Serve, gates: Gates
) -> None:
    """A stop does not wait for it for ever, and says so."""
    app = gated_app(gates)

    @app.get("/stubborn")
    async def stubborn() -> str:
        try:
            await gates.wait("first")
        except asyncio.CancelledError:
            await gates.wait("second")
        return "in the end"

    served = serve(app, threads=2)
    client = served.client()
    client.send(REQUEST % b"/stubborn")
    gates.entered("first")
    assert served.server.stop(0) is False
    gates.entered("second")
    gates.open("second")
    assert client.answer()[2] == b"in the end"
    eventually(lambda: served.server.stop(1), "the end")


def test_a_stop_while_the_loops_thread_leads(serve: Serve, gates: Gates) -> None:
    """And is idle, or blocked, or at work."""
    idle = serve(gated_app(gates), threads=2)
    lead_on_loop(idle)
    assert idle.server.stop(5)
    busy = serve(gated_app(gates), threads=2)
    client = lead_on_loop(busy)
    client.send(REQUEST % b"/wait/w")
    gates.entered("w")
    stopper = threading.Thread(target=busy.server.stop, args=(20,))
    stopper.start()
    gates.open("w")
    assert client.answer()[2] == b"w"
    stopper.join(20)
    blocked = serve(gated_app(gates), threads=2)
    client = lead_on_loop(blocked)
    client.send(REQUEST % b"/block/b")
    gates.entered("b")
    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(blocked.server.stop(20)))
    stopper.start()
    eventually(lambda: pool_of(blocked)._duties._server_context.draining)
    gates.open("b")
    assert client.answer()[2] == b"b"
    stopper.join(20)
    assert stopped == [True]


def test_nothing_is_left_of_a_stopped_server(serve: Serve, gates: Gates) -> None:
    """No descriptor, and no thread but the loop's, which is the process's."""

    def once() -> None:
        served = serve(gated_app(gates), threads=4)
        lead_on_loop(served)
        served.client().send(REQUEST % b"/wait/for-ever")
        gates.entered("for-ever")
        served.stop()

    once()
    before, threads = open_files(), threading.active_count()
    for _ in range(5):
        once()
    assert not open_files() - before
    assert threading.active_count() == threads


# With processes.

ASYNC = """
import asyncio
from dewar import Dewar

app = Dewar("app", static_folder=None)

@app.get("/pid")
async def pid():
    return str(os.getpid())

@app.get("/wait/<path:gate>")
async def wait(gate):
    is_open, loop = asyncio.Event(), asyncio.get_running_loop()
    fd = os.open("/" + gate, os.O_RDONLY | os.O_NONBLOCK)
    loop.add_reader(fd, is_open.set)
    line(f"waits in {os.getpid()}")
    try:
        await is_open.wait()
    except asyncio.CancelledError:
        line("cancelled")
        raise
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return str(os.getpid())

@app.teardown_request
async def tear_down(error):
    await asyncio.sleep(0)
    if error is not None:
        line(f"torn down by {type(error).__name__}")

"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with two processes that is stopped at the end."""
    app = Dewar("here", static_folder=None)

    @app.get("/pid")
    async def pid() -> str:
        await asyncio.sleep(0)
        return str(os.getpid())

    server = Server(app, Settings(bind="127.0.0.1:0", processes=2, threads=2))
    yield server
    server.stop(0)


def client_of(server: Server) -> Client:
    """Connect."""
    host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
    return Client((host, int(port)))


def test_each_process_has_a_loop_of_its_own(server: Server, serve: Serve, gates: Gates) -> None:
    """Also where the parent's has begun already, whose thread no child has."""
    served = serve(gated_app(gates), threads=2)
    waiting = begin(served, gates, "wait", "w")
    server.start()
    pids: set[bytes] = set()
    clients: list[Client] = []
    while len(pids) < 2:
        clients.append(client_of(server))
        for _ in range(5):
            pids.add(clients[-1].get("/pid")[2])
    assert str(os.getpid()).encode() not in pids
    for client in clients:
        client.close()
    assert server.stop(10)
    gates.open("w")
    assert waiting.answer()[2] == b"w"


def held(server: Running, path: Path, count: int) -> list[tuple[int, Client]]:
    """Have so many views wait until the gate is opened; their processes and clients."""
    found = []
    for number in range(count):
        client = server.client()
        client.send(REQUEST % f"/wait{path}".encode())
        found.append((int(server.wait_line("waits in", number + 1).split()[-1]), client))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_what_waits_outlives_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """A reload and a stop wait for it; each is answered by the process that has it."""
    settings = "processes=2, threads=2, graceful_timeout=30, keep_alive=1"
    with running(settings, ASYNC) as server, gate(tmp_path) as (path, release):
        clients = held(server, path, 12)
        former = set(server.workers())
        server.send(number)
        if number is signal.SIGHUP:
            eventually(lambda: len(set(server.workers()) - former) == 2)
            # A former one may take a last client before it hears that it is to retire.
            eventually(lambda: int(server.ask("/pid")) not in former)
        else:
            until_refused(server.address)
        release()
        for pid, client in clients:
            assert int(client.answer()[2]) == pid
        if number is signal.SIGHUP:
            eventually(server.without(*former))
        else:
            assert server.wait_end() == 0
        assert not any("cancelled" in text for text in server.lines)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")
@pytest.mark.parametrize("processes", [1, 2])
def test_what_waits_longer_than_a_stop_is_cancelled_by_the_signal(
    tmp_path: Path, processes: int
) -> None:
    """After graceful_timeout, with its teardown functions, and the process ends well."""
    settings = f"processes={processes}, threads=2, graceful_timeout=0.5"
    with running(settings, ASYNC) as server, gate(tmp_path) as (path, _):
        clients = held(server, path, 5)
        server.send(signal.SIGTERM)
        server.wait_line("cancelled", 5)
        server.wait_line("torn down by CancelledError", 5)
        assert server.wait_end() == 0
        assert all(client.is_closed() for _, client in clients)
        complaints = ("Traceback", "never", "destroyed", "Error:")
        assert not [text for text in server.lines if any(word in text for word in complaints)]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")
def test_a_process_that_has_served_enough_answers_what_waits(tmp_path: Path) -> None:
    """It is recycled under requests that wait, and none of them is lost."""
    settings = "threads=2, max_requests=30, graceful_timeout=30"
    with running(settings, ASYNC) as server, gate(tmp_path) as (path, release):
        clients = held(server, path, 10)
        [former] = {pid for pid, _ in clients}
        eventually(lambda: server.ask("/pid") != str(former))
        release()
        assert [int(client.answer()[2]) for _, client in clients] == [former] * 10
        eventually(server.without(former))
