"""Requests that leave HTTP on the event loop, over real sockets."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from certificates import Certificates
from dewar.server import Server
from polling import eventually
from servertools import Client, Serve, Served
from upgradetools import GOING_AWAY, SWITCHED, Echo, UpgradingApp, ask, exchange

LARGE = b"x" * 200_000


def upgraded(served: Served, context: Any = None, path: str = "/ws") -> Client:
    """Return a client that has left HTTP."""
    client = served.client(context)
    client.send(ask(path))
    assert client._exactly(len(SWITCHED)) == SWITCHED
    return client


def websockets(served: Served) -> int:
    return served.server.statistics().pool.websockets


@pytest.fixture(params=["on the loop", "on a thread first"])
def echo(request: pytest.FixtureRequest) -> Echo:
    return Echo(begins_on_loop=request.param == "on the loop")


@pytest.mark.parametrize("secure", [False, True])
def test_both_sides_send_what_they_like(
    serve: Serve, certificates: Certificates, echo: Echo, secure: bool
) -> None:
    """Bytes that come with the request too, and more than fits into the system's buffers."""
    served = serve(echo.app, **(certificates.pair() if secure else {}))
    client = served.client(certificates.client() if secure else None)
    client.send(ask("/ws") + b"early")
    assert client._exactly(len(SWITCHED)) == SWITCHED
    assert client._exactly(8) == b"re:early"
    client.send(b"hello")
    assert client._exactly(8) == b"re:hello"
    assert exchange(client, LARGE + b"close").replace(b"re:", b"") == LARGE + b"close"
    eventually(lambda: echo.peers[0].told == [None])
    eventually(lambda: websockets(served) == 0)


def test_it_holds_no_thread_and_counts_as_a_websocket(serve: Serve, echo: Echo) -> None:
    """More of them than threads are open, and the threads still answer."""
    served = serve(echo.app, threads=1)
    clients = [upgraded(served) for _ in range(5)]
    eventually(lambda: served.server.statistics().pool.websocket_threads == 0)
    pool = served.server.statistics().pool
    assert (pool.websockets, pool.suspended, pool.connections) == (5, 0, 5)
    assert served.client().get("/plain")[2] == b"plain"
    for client in clients:
        client.close()
    eventually(lambda: websockets(served) == 0)
    eventually(lambda: served.server.statistics().pool.connections <= 1)


@pytest.mark.parametrize("request_", [ask("/plain"), ask("/plain", b"Connection: x\r\n")])
def test_a_request_that_stays_in_http_is_answered_and_the_next_ones_too(
    serve: Serve, echo: Echo, request_: bytes
) -> None:
    """In their order, also if they were sent at once, and the last one leaves HTTP."""
    served = serve(echo.app)
    client = served.client()
    client.send(request_ * 40 + b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n" + ask("/ws") + b"!")
    for _ in range(41):
        status, fields, body = client.answer()
        assert (status, body) == (b"HTTP/1.1 200 OK", b"plain")
        assert b"connection" not in fields
    assert client._exactly(len(SWITCHED) + 4) == SWITCHED + b"re:!"
    assert served.server.statistics().pool.requests == 42


@pytest.mark.parametrize(
    "request_",
    [
        ask("/ws").replace(b"GET", b"POST"),
        ask("/ws").replace(b"HTTP/1.1", b"HTTP/1.0"),
        ask("/ws").replace(b"websocket", b"h2c"),
        ask("/ws").replace(b"websocket", b"websocketx"),
        ask("/ws").replace(b"keep-alive, Upgrade", b"keep-alive"),
        ask("/ws").replace(b"keep-alive, Upgrade", b"Upgrade, close"),
        ask("/ws", b"Content-Length: 2\r\n") + b"ab",
        ask("/ws", b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    ],
)
def test_only_a_get_of_http11_without_a_body_may_leave(serve: Serve, request_: bytes) -> None:
    """Any other request has none of the keys."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [str([k for k in environ if k.startswith("dewar.u") or "socket" in k]).encode()]

    client = serve(app).client()
    assert client.ask(request_)[2] == b"[]"


def test_doubled_and_mixed_fields_are_an_offer_too(serve: Serve, echo: Echo) -> None:
    """What the handshake says is the application's matter."""
    client = serve(echo.app).client()
    client.send(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nCONNECTION: UPGRADE\r\nConnection: keep-alive\r\n"
        b"Upgrade: foo/2,WebSocket\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n"
    )
    assert client._exactly(len(SWITCHED)) == SWITCHED


def test_a_client_that_ends_its_side_is_noticed_by_the_protocol(serve: Serve, echo: Echo) -> None:
    """The coroutine is not cancelled: it hears of it."""
    served = serve(echo.app)
    client = upgraded(served)
    client.sock.shutdown(socket.SHUT_WR)
    assert client.rest() == b""
    eventually(lambda: echo.peers[0].told == ["eof", None])


def test_a_client_that_resets_is_noticed_by_the_protocol(serve: Serve, echo: Echo) -> None:
    """With the error."""
    served = serve(echo.app)
    client = upgraded(served)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    eventually(lambda: echo.peers[0].told)
    assert type(echo.peers[0].told[0]) is ConnectionResetError


def test_a_protocol_that_fails_loses_the_connection(serve: Serve, echo: Echo, quiet: None) -> None:
    """It gets its own error."""
    client = upgraded(serve(echo.app))
    client.send(b"fail")
    assert client.is_closed()
    eventually(lambda: echo.peers[0].told)
    assert type(echo.peers[0].told[0]) is ZeroDivisionError


def test_a_client_that_does_not_read_pauses_the_protocol(serve: Serve) -> None:
    """And resumes it; what waits is bounded by what the protocol writes meanwhile."""
    echo = Echo()
    client = upgraded(serve(echo.app))
    loop_calls = echo.peers[0].transport
    written: list[int] = []

    def fill() -> None:
        while not echo.peers[0].told:
            loop_calls.write(LARGE)
            written.append(len(LARGE))

    from dewar.loop.process_loop import process_loop

    process_loop.call_soon(fill)
    eventually(lambda: echo.peers[0].told == ["pause"])
    assert loop_calls.get_write_buffer_size() <= 65536 + len(LARGE)
    assert client._exactly(sum(written)).strip(b"x") == b""
    eventually(lambda: echo.peers[0].told == ["pause", "resume"])
    process_loop.call_soon(loop_calls.close)
    assert client.rest() == b""


def test_a_stop_tells_each_once_and_waits_for_it(serve: Serve, echo: Echo) -> None:
    """Then the connection is closed as the protocol wants it, and the server ends at once."""
    served = serve(echo.app)
    clients = [upgraded(served) for _ in range(3)]
    assert served.server.stop(20)
    assert [client.rest() for client in clients] == [GOING_AWAY] * 3
    assert echo.going_away == 3


def test_one_that_does_not_go_is_cut_off(serve: Serve, quiet: None) -> None:
    """Its coroutine is cancelled after the grace."""
    ends: list[BaseException] = []

    async def work(environ: Any) -> None:
        try:
            environ["dewar.upgrade"](asyncio.Protocol(), lambda: None).write(SWITCHED)
            await asyncio.get_running_loop().create_future()
        except BaseException as error:
            ends.append(error)
            raise

    served = serve(UpgradingApp(work))
    client = upgraded(served)
    assert served.server.stop(0)
    assert client.is_closed()
    assert [type(end) for end in ends] == [asyncio.CancelledError]


async def _twice(environ: Any) -> None:
    environ["dewar.upgrade"](asyncio.Protocol(), lambda: None).write(SWITCHED)
    environ["dewar.upgrade"](asyncio.Protocol(), lambda: None)


async def _as_a_socket_too(environ: Any) -> None:
    environ["dewar.upgrade"](asyncio.Protocol(), lambda: None).write(SWITCHED)
    environ["werkzeug.socket"].recv(1)


async def _and_exit(environ: Any) -> None:
    environ["dewar.upgrade"](asyncio.Protocol(), lambda: None).write(SWITCHED)
    raise SystemExit


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (_twice, "it was taken before"),
        (_as_a_socket_too, "it was taken before"),
        (_and_exit, "SystemExit"),
    ],
)
def test_an_application_that_fails_afterwards_sends_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture, work: Callable[..., Any], said: str
) -> None:
    """What was sent is followed by the end; the log has the error."""
    served = serve(UpgradingApp(work))
    client = upgraded(served)
    assert client.rest() == b""
    eventually(lambda: said in caplog.text)
    assert "failed after it had left HTTP" in caplog.text


def test_it_is_called_on_the_loop(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """An error says so, and the request is answered."""

    def app(environ: Any, start_response: Any) -> Any:
        environ["dewar.upgrade"](asyncio.Protocol(), lambda: None)

    status, _, _ = serve(app).client().ask(ask("/"))
    assert status == b"HTTP/1.1 500 Internal Server Error"
    assert "Call it in a coroutine on the event loop" in caplog.text


def test_an_answered_request_can_leave_no_more(serve: Serve) -> None:
    """Its environ was kept, and the connection may carry another request by now."""
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        kept.append(environ)
        start_response("200 OK", [])
        return [b"plain"]

    client = serve(app).client()
    assert client.ask(ask("/"))[2] == b"plain"
    assert client.get()[2] == b"plain"
    with pytest.raises(OSError, match="the request was answered"):
        kept[0]["werkzeug.socket"].send(b"nonsense")
    assert client.get()[2] == b"plain"


def test_the_access_log_has_it_at_its_end(
    serve: Serve, echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    """With the status 101."""
    caplog.set_level("INFO", "dewar.server.access")
    served = serve(echo.app, access_log=True)
    client = upgraded(served)
    assert "101" not in caplog.text
    client.close()
    eventually(lambda: '"GET /ws HTTP/1.1" 101 -' in caplog.text)


def test_their_number_is_limited_with_that_of_all_connections(serve: Serve) -> None:
    """None of them gives way to a new client, as an idle connection does."""
    served = serve(Echo().app, max_connections=2)
    clients = [upgraded(served) for _ in range(2)]
    status, _, _ = served.client().get("/plain")
    assert status == b"HTTP/1.1 503 Service Unavailable"
    clients[0].send(b"still there")
    assert clients[0]._exactly(14) == b"re:still there"


def test_a_websocket_takes_no_deadline_of_http(serve: Serve) -> None:
    """It may be silent for as long as it likes."""
    now = [100.0]
    served = serve(Echo().app, clock=lambda: now[0], keep_alive=1.0, header_timeout=1.0)
    idle, client = served.client(), upgraded(served)
    idle.get("/plain")
    for _ in range(3):
        now[0] += 100.0
        served.client().get("/plain")  # the leader looks at the clock
    assert idle.is_closed()
    client.send(b"hi")
    assert client._exactly(5) == b"re:hi"


def test_connections_that_come_and_go_leave_nothing(serve: Serve) -> None:
    """No descriptor, and no place in any table."""
    served = serve(Echo().app)
    pool: Any = _pool(served.server)
    for number in range(60):
        client = served.client()
        client.send(ask("/ws") + b"." * (number % 3))
        if number % 2:
            client._exactly(len(SWITCHED))
        client.close()
    eventually(lambda: pool._connections.count == 0)
    assert (pool._connections.upgraded, pool._connections.handed_off) == ({}, set())


def _pool(server: Server) -> Any:
    return server._backend._pool  # type: ignore[attr-defined]  # the tables are not public
