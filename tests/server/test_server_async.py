"""Coroutine views on the server: many wait, and none of them holds a thread."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from asynctools import (
    REQUEST,
    Gates,
    begin,
    connections_of,
    gated_app,
    lead_on_loop,
    pool_of,
)
from dewar import Dewar, request
from dewar.server import Server, Settings
from polling import eventually
from servertools import Client, Serve, Served

pytestmark = pytest.mark.usefixtures("calm_loop")


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_more_views_wait_than_there_are_threads(serve: Serve, gates: Gates, threads: int) -> None:
    """Beside them everything else is answered, and each gets its own answer in the end."""
    served = serve(gated_app(gates), threads=threads)
    waiting = [begin(served, gates, "wait", f"w{number}") for number in range(40)]
    other = served.client()
    for number in range(20):
        assert other.get(f"/sync/s{number}")[2] == f"s{number}".encode()
        assert other.get(f"/quick/q{number}")[2] == f"q{number}".encode()
    statistics = served.server.statistics().pool
    assert statistics.threads <= threads
    assert (statistics.connections, statistics.requests) == (41, 80)
    for number in reversed(range(40)):
        gates.open(f"w{number}")
        assert waiting[number].answer()[2] == f"w{number}".encode()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_view_for_the_loop_needs_no_free_thread(serve: Serve, gates: Gates, threads: int) -> None:
    """It is answered while every thread is in a synchronous view."""
    served = serve(gated_app(gates), threads=threads)
    held = [begin(served, gates, "hold", f"h{number}") for number in range(threads)]
    client = served.client()
    for number in range(20):
        assert client.get(f"/quick/{number}")[2] == str(number).encode()
    late = served.client()
    late.send(REQUEST % b"/sync/late")
    eventually(lambda: served.server.statistics().pool.waiting == 1)
    gates.open_all()
    assert {c.answer()[2] for c in held} == {b"h%d" % n for n in range(threads)}
    assert late.answer()[2] == b"late"


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_what_may_block_after_a_coroutine_has_a_thread(
    serve: Serve, gates: Gates, threads: int
) -> None:
    """Also where the only free thread is the one that leads, and sleeps until there is news."""
    app = gated_app(gates)
    seen: list[str] = []

    @app.after_request
    def after(response: Any) -> Any:
        seen.append(threading.current_thread().name)
        return response

    served = serve(app, threads=threads)
    held = [begin(served, gates, "hold", f"h{number}") for number in range(threads - 1)]
    client = served.client()
    for number in range(50):
        assert client.get(f"/quick/{number}")[2] == str(number).encode()
    waiting = begin(served, gates, "wait", "w")
    gates.open("w")
    assert waiting.answer()[2] == b"w"
    assert set(seen) <= {f"dewar-{number}" for number in range(1, threads + 1)}
    gates.open_all()
    for number, holder in enumerate(held):
        assert holder.answer()[2] == f"h{number}".encode()


@pytest.mark.parametrize("kind", ["block", "later-block"])
@pytest.mark.parametrize("leads", [False, True])
def test_a_coroutine_that_blocks_the_loop_blocks_no_thread(
    serve: Serve, gates: Gates, kind: str, leads: bool
) -> None:
    """Neither in its first step nor in a later one, and not where the loop's thread leads."""
    served = serve(gated_app(gates), threads=2)
    client = lead_on_loop(served) if leads else served.client()
    client.send(REQUEST % f"/{kind}/b".encode())
    gates.entered("b")
    other = served.client()
    for number in range(20):
        assert other.get(f"/sync/{number}")[2] == str(number).encode()
    late = served.client()
    late.send(REQUEST % b"/quick/late")
    gates.open("b")
    assert client.answer()[2] == b"b"
    assert late.answer()[2] == b"late"
    assert served.client().get("/quick/x")[2] == b"x"


def test_pipelined_requests_of_both_kinds_are_answered_in_order(serve: Serve, gates: Gates) -> None:
    """However they come: in one piece, or the next ones while the first waits."""
    served = serve(gated_app(gates), threads=2)
    targets = [b"/wait/a", b"/sync/b", b"/quick/c", b"/wait/d", b"/sync/e"]
    together, apart = served.client(), served.client()
    together.send(b"".join(REQUEST % target for target in targets))
    apart.send(REQUEST % targets[0])
    gates.entered("a")
    gates.entered("a")
    for target in targets[1:]:
        apart.send(REQUEST % target)
    assert served.client().get("/sync/x")[2] == b"x"  # by now the leader has seen that they came
    gates.open("a")
    gates.open("d")
    for client in (together, apart):
        assert [client.answer()[2] for _ in targets] == [b"a", b"b", b"c", b"d", b"e"]


def test_a_connection_persists_through_all_kinds(serve: Serve, gates: Gates) -> None:
    """And is counted as one."""
    served = serve(gated_app(gates), threads=2)
    client = served.client()
    for number in range(100):
        kind = ("quick", "sync", "quick", "quick")[number % 4]
        assert client.get(f"/{kind}/{number}")[2] == str(number).encode()
    statistics = served.server.statistics().pool
    assert (statistics.accepted, statistics.requests) == (1, 100)


@pytest.mark.parametrize("on_loop", [False, True])
def test_what_is_no_plain_get_is_answered_as_from_a_synchronous_view(
    serve: Serve, gates: Gates, on_loop: bool
) -> None:
    """HEAD, OPTIONS, what is not found, what is not allowed, and what fails."""
    app = gated_app(gates, PROPAGATE_EXCEPTIONS=False)
    app.logger.disabled = True

    @app.get("/fails")
    async def fails() -> str:
        raise LookupError

    served = serve(app, threads=2)
    client = lead_on_loop(served) if on_loop else served.client()
    status, fields, body = client.ask(b"HEAD /quick/four HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, fields[b"content-length"], body) == (b"HTTP/1.1 200 OK", b"4", b"")
    status, fields, body = client.ask(b"OPTIONS /quick/x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert {*fields[b"allow"].split(b", ")} == {b"GET", b"HEAD", b"OPTIONS"}
    assert client.get("/nowhere")[0] == b"HTTP/1.1 404 NOT FOUND"
    status, _, _ = client.ask(b"POST /quick/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert status == b"HTTP/1.1 405 METHOD NOT ALLOWED"
    assert client.get("/fails")[0] == b"HTTP/1.1 500 INTERNAL SERVER ERROR"
    assert client.get("/quick/still-there")[2] == b"still-there"


@pytest.mark.parametrize("on_loop", [False, True])
@pytest.mark.parametrize("size", [0, 5, 200_000, 3_000_000])
def test_a_view_reads_the_body_of_its_request(
    serve: Serve, gates: Gates, on_loop: bool, size: int
) -> None:
    """Sized, chunked, or asked for with 100 Continue; the connection goes on."""
    served = serve(gated_app(gates), threads=2)
    client = lead_on_loop(served) if on_loop else served.client()
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
    sized = b"Content-Length: %d\r\n" % size
    assert client.ask(head + sized + b"\r\n" + body)[2] == body
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (size, body) if size else b"0\r\n\r\n"
    assert client.ask(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)[2] == body
    if size:
        asked = client.ask(head + sized + b"Expect: 100-continue\r\n\r\n")
        assert asked[0] == b"HTTP/1.1 100 Continue"
        assert client.ask(body)[2] == body
    assert client.get("/quick/x")[2] == b"x"


def test_a_body_that_is_awaited_behind_a_request_for_the_loop_keeps_nobody_waiting(
    serve: Serve, gates: Gates
) -> None:
    """The one behind waits for its client on a thread, though the loop's thread leads."""
    served = serve(gated_app(gates), threads=2)
    client = lead_on_loop(served)
    client.send(
        REQUEST % b"/quick/first" + b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        b"Content-Length: 2\r\n\r\n"
    )
    assert client.answer()[2] == b"first"
    assert client.answer()[0] == b"HTTP/1.1 100 Continue"
    other = served.client()
    for number in range(10):
        assert other.get(f"/quick/{number}")[2] == str(number).encode()
    assert client.ask(b"ok")[2] == b"ok"


def test_a_body_that_is_waited_for_does_not_come(serve: Serve, gates: Gates) -> None:
    """The client is asked for it before the view begins, and leaves; nothing is left of that."""
    served = serve(gated_app(gates), threads=2)
    for _ in range(5):
        client = served.client()
        status, _, _ = client.ask(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        assert status == b"HTTP/1.1 100 Continue"
        client.close()
        eventually(lambda: served.server.statistics().pool.connections == 0)


def test_a_subclass_that_has_steps_of_its_own_keeps_them(serve: Serve) -> None:
    """Its requests are not suspended, its coroutines run all the same."""
    called: list[str] = []

    class Counting(Dewar):
        def ensure_sync(self, func: Any) -> Any:
            called.append(func.__name__)
            return super().ensure_sync(func)

    app = Counting("counting", static_folder=None)

    @app.get("/")
    async def view() -> str:
        return request.path

    served = serve(app, threads=2)
    assert served.client().get("/")[2] == b"/"
    assert "view" in called


def test_many_servers_share_the_loop(serve: Serve, gates: Gates) -> None:
    """Each gets its own requests, the end of one is not the others', and a new one may come."""
    servers = [serve(gated_app(gates), threads=2) for _ in range(4)]
    waiting = [begin(served, gates, "wait", f"w{n}") for n, served in enumerate(servers)]
    for served in servers:
        lead_on_loop(served)
    gates.open("w0")
    assert waiting[0].answer()[2] == b"w0"
    servers[0].stop()
    for number in range(30):
        for served in servers[1:]:
            assert served.client().get(f"/quick/{number}")[2] == str(number).encode()
    again = serve(gated_app(gates), threads=2)
    for served in [*servers[1:], again]:
        lead_on_loop(served)
    gates.open_all()
    for number in (1, 2, 3):
        assert waiting[number].answer()[2] == f"w{number}".encode()


def test_statistics_and_the_connections_are_empty_when_all_is_answered(
    serve: Serve, gates: Gates
) -> None:
    """A connection counts while it waits, and once."""
    served = serve(gated_app(gates), threads=2)
    clients = [begin(served, gates, "wait", f"w{number}") for number in range(10)]
    eventually(lambda: len(pool_of(served)._connections.suspended) == 10)
    assert served.server.statistics().pool.connections == 10
    assert served.server.statistics().pool.suspended == 10
    assert all(c.async_exchange is not None for c in connections_of(served))
    gates.open_all()
    for client in clients:
        client.answer()
    # A client has its answer a moment before the loop's thread lets go of the connection.
    eventually(lambda: all(c.async_exchange is None for c in connections_of(served)))
    for client in clients:
        client.close()
    eventually(lambda: served.server.statistics().pool.connections == 0)
    statistics = served.server.statistics().pool
    assert (statistics.handed_off, statistics.waiting, statistics.requests) == (0, 0, 10)


def test_deadlines_do_not_hold_for_what_the_application_waits_for(
    serve: Serve, gates: Gates
) -> None:
    """They are the clients'."""
    now = [1000.0]
    served = serve(
        gated_app(gates), threads=2, clock=lambda: now[0], keep_alive=1.0, header_timeout=1.0
    )
    waiting = begin(served, gates, "wait", "w")
    idle = served.client()
    assert idle.get("/sync/x")[2] == b"x"
    for _ in range(3):
        now[0] += 50
        served.client().get("/sync/x")  # so that the leader looks at the clock
    assert idle.is_closed()
    gates.open("w")
    assert waiting.answer()[2] == b"w"


def test_a_view_on_a_unix_socket(gates: Gates, tmp_path: Path) -> None:
    """It is a socket like any other."""
    path = tmp_path / "web.sock"
    server = Server(gated_app(gates), Settings(bind=f"unix:{path}", threads=2))
    server.start()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(REQUEST % b"/wait/a")
            gates.entered("a")
            gates.open("a")
            assert client.recv(1000).endswith(b"\r\n\r\na")
    finally:
        assert server.stop(5)


def test_many_clients_with_views_of_all_kinds_get_their_own_answers(
    serve: Serve, gates: Gates
) -> None:
    """Whoever leads, and however often that changes."""
    served = serve(gated_app(gates), threads=4)
    kinds = ["quick"] * 9 + ["sync"] + ["quick"] * 40 + ["sync"] * 5
    wrong: list[str] = []
    start = threading.Barrier(12)

    def work(number: int) -> None:
        client: Client = served.client()
        start.wait()
        for turn in range(60):
            name = f"{number}-{turn}"
            if client.get(f"/{kinds[turn % len(kinds)]}/{name}")[2] != name.encode():
                wrong.append(name)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []
    assert served.server.statistics().pool.requests == 12 * 60


def beats_of(served: Served) -> float:
    """Return when the leader last looked at the clock."""
    return pool_of(served)._duties._server_context.now


def test_a_server_whose_loop_led_last_goes_on_looking_at_its_deadlines(
    serve: Serve, gates: Gates
) -> None:
    """An idle loop has the leadership taken from it, so that a supervisor hears a heartbeat."""
    served = serve(gated_app(gates), threads=2)
    client = lead_on_loop(served)
    eventually(lambda: not pool_of(served)._leadership.is_on_loop)
    before = beats_of(served)
    eventually(lambda: beats_of(served) > before)
    assert client.get("/quick/x")[2] == b"x"
