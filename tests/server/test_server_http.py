"""The server on the wire: what a client sees."""

import contextvars
import io
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from servertools import Serve, wait_in_head

_left_behind: contextvars.ContextVar[str] = contextvars.ContextVar("left_behind")


def echo(environ: Any, start_response: Any) -> Any:
    """Answer with what came."""
    body = environ["wsgi.input"].read()
    text = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {len(body)} ".encode() + body[:50]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]


def test_a_connection_is_kept_and_used_again(serve: Serve) -> None:
    """HTTP/1.1 persists, and each answer says what it is."""
    client = serve(echo).client()
    for number in range(5):
        status, fields, body = client.get(f"/{number}")
        assert (status, body) == (b"HTTP/1.1 200 OK", f"GET /{number} 0 ".encode())
        assert fields[b"server"] == b"Dewar"
        assert fields[b"date"].endswith(b" GMT")


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    """All sent at once, also with bodies between them."""
    client = serve(echo).client()
    client.send(
        b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
        b"POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        b"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
        b"GET /4 HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert [client.answer()[2] for _ in range(4)] == [
        b"GET /1 0 ", b"POST /2 3 abc", b"POST /3 2 de", b"GET /4 0 ",
    ]  # fmt: skip


def test_a_large_body_is_spooled_and_read_whole(serve: Serve) -> None:
    """Past the limit it is in a file, and the application sees no difference."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"]
        seen.append((isinstance(body, io.BytesIO), environ["CONTENT_LENGTH"]))
        data = body.readline() + b"".join(body)
        start_response("200 OK", [])
        return [data]

    client = serve(app, buffered_body=1000).client()
    content = b"first\n" + b"x" * 300_000
    for framing in (
        b"Content-Length: %d\r\n\r\n%b" % (len(content), content),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(content), content),
    ):
        assert client.ask(b"POST / HTTP/1.1\r\nHost: x\r\n" + framing)[2] == content
    assert seen == [(False, str(len(content)))] * 2


def test_responses_of_unknown_length_are_chunked(serve: Serve) -> None:
    """Each piece goes out as it is made."""
    gates = [threading.Event() for _ in range(3)]

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number, gate in enumerate(gates):
            gate.wait(5)
            yield b""
            yield b"piece %d" % number

    client = serve(app).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    gates[0].set()
    assert b"Transfer-Encoding: chunked" in client._until(b"\r\n\r\n")
    seen = []
    for number, piece in enumerate(client.chunks()):
        seen.append(piece)
        if number < 2:
            gates[number + 1].set()
    assert seen == [b"piece 0", b"piece 1", b"piece 2"]
    for gate in gates:
        gate.set()
    assert client.get()[2] == b"piece 0piece 1piece 2"


def test_http_1_0_closes_unless_asked_to_stay(serve: Serve) -> None:
    """And is never sent chunks."""

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/known":
            return echo(environ, start_response)
        start_response("200 OK", [])
        return iter([b"a", b"b"])

    served = serve(app)
    client = served.client()
    assert client.ask(b"GET / HTTP/1.0\r\n\r\n")[2] == b"ab"
    assert client.is_closed()
    client = served.client()
    for _ in range(2):
        _, fields, body = client.ask(b"GET /known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (fields[b"connection"], body) == (b"keep-alive", b"GET /known 0 ")
    client.ask(b"GET /known HTTP/1.0\r\n\r\n")
    assert client.is_closed()


def test_head_and_bodiless_statuses_send_no_body(serve: Serve) -> None:
    """Whatever the application returns, the next answer begins where it should."""

    def app(environ: Any, start_response: Any) -> Any:
        status = environ["PATH_INFO"][1:] or "200 OK"
        start_response(status, [("X-Seen", "1")])
        return [b"body"]

    client = serve(app).client()
    status, fields, _ = client.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, fields[b"content-length"]) == (b"HTTP/1.1 200 OK", b"4")
    for status_line in ("204%20No%20Content", "304%20Not%20Modified"):
        status, fields, _ = client.get(f"/{status_line}")
        assert b"content-length" not in fields
    assert client.get()[2] == b"body"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414 URI Too Long"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n",
            b"431 Request Header Fields Too Large",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000000\r\n\r\n",
            b"413 Content Too Large",
        ),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", b"505 HTTP Version Not Supported"),
    ],
)
def test_what_is_refused_gets_its_status_and_a_closed_connection(
    serve: Serve, request_: bytes, status: bytes
) -> None:
    """What was right before it is answered first."""
    served = serve(echo)
    client = served.client()
    client.send(b"GET /before HTTP/1.1\r\nHost: x\r\n\r\n" + request_)
    assert client.answer()[2] == b"GET /before 0 "
    line, fields, _ = client.answer()
    assert (line, fields[b"connection"]) == (b"HTTP/1.1 " + status, b"close")
    assert client.is_closed()
    assert served.client().get()[0] == b"HTTP/1.1 200 OK"


def failing(environ: Any, start_response: Any) -> Any:
    """Fail in the way the path names."""
    way = environ["PATH_INFO"]
    if way == "/before":
        raise ZeroDivisionError("before")
    if way == "/silent":
        return [b"x"]
    if way == "/twice":
        start_response("200 OK", [])
    if way == "/text":
        start_response("200 OK", [])
        return ["text"]
    if way == "/injected":
        start_response("200 OK", [("X", "a\r\nSet-Cookie: b")])
        return [b"x"]
    if way == "/exit":
        sys.exit("bye")
    start_response("200 OK", [("Content-Length", "5")] if way == "/long" else [])
    if way == "/long":
        return [b"0123456789"]
    if way == "/replaced":
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("503 Sorry", [], sys.exc_info())
        return [b"sorry"]
    return [b"fine"]


@pytest.mark.parametrize("way", ["before", "silent", "twice", "text", "injected", "exit"])
def test_an_application_that_fails_is_a_500_and_the_connection_goes_on(
    serve: Serve, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns nothing, the log everything."""
    client = serve(failing).client()
    with caplog.at_level(logging.ERROR, "dewar.server"):
        status, _, body = client.get(f"/{way}")
    assert (status, body) == (b"HTTP/1.1 500 Internal Server Error", b"Internal Server Error\n")
    assert f"'/{way}'" in caplog.text
    assert "Traceback" in caplog.text
    assert client.get("/fine")[2] == b"fine"


def test_a_head_can_be_replaced_before_it_is_sent(serve: Serve) -> None:
    """start_response with exc_info (PEP 3333)."""
    status, _, body = serve(failing).client().get("/replaced")
    assert (status, body) == (b"HTTP/1.1 503 Sorry", b"sorry")


def test_a_body_is_never_longer_than_was_declared(serve: Serve, quiet: None) -> None:
    """What is too much is cut off, and the connection goes on."""
    client = serve(failing).client()
    assert client.get("/long")[2] == b"01234"
    assert client.get("/fine")[2] == b"fine"


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"bc"], iter([b"abc"])])
def test_a_body_shorter_than_declared_ends_the_connection(
    serve: Serve, pieces: Any, quiet: None
) -> None:
    """So that the client can tell."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "10")])
        return pieces

    client = serve(app).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nabc")


def test_an_error_after_the_head_cuts_the_connection(serve: Serve, quiet: None) -> None:
    """A chunked body without its end cannot be taken for a whole one."""
    closed = threading.Event()

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"begun"
            raise ZeroDivisionError

        def close(self) -> None:
            closed.set()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body()

    client = serve(app).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    data = client.rest()
    assert b"begun" in data
    assert not data.endswith(b"0\r\n\r\n")
    assert closed.wait(5)


def test_write_sends_at_once_and_not_after_the_end(serve: Serve, quiet: None) -> None:
    """The old way of PEP 3333."""
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        kept.append(write)
        write(b"written ")
        return [b"returned"]

    client = serve(app).client()
    assert client.get()[2] == b"written returned"
    client.get()
    with pytest.raises(RuntimeError, match="after the request had ended"):
        kept[0](b"late")


def test_each_request_runs_in_a_context_of_its_own(serve: Serve) -> None:
    """What a request leaves in a context variable the next one does not find."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        found = _left_behind.get("nothing")
        _left_behind.set("something")
        start_response("200 OK", [])
        yield found.encode()
        yield b" then " + _left_behind.get().encode()

    client = serve(app, threads=1).client()
    assert client.get()[2] == b"nothing then something"
    assert client.get()[2] == b"nothing then something"


def test_a_client_that_reads_slowly_holds_no_thread_of_a_whole_response(serve: Serve) -> None:
    """What it does not take waits in the poller, and the one thread serves others."""
    large = b"x" * 30_000_000

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [large if environ["PATH_INFO"] == "/large" else b"small"]

    served = serve(app, threads=1)
    slow = served.client()
    slow.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert served.client().get()[2] == b"small"
    assert slow.answer()[2] == large
    assert slow.get()[2] == b"small"


def test_a_client_that_hangs_up_is_noticed_and_close_is_called(serve: Serve) -> None:
    """A stream without an end stops."""
    closed = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.set()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return endless()

    client = serve(app).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    client.sock.recv(1000)
    client.close()
    assert closed.wait(10)


def test_unix_sockets_are_served(serve: Serve, tmp_path: Any) -> None:
    """A path in place of host and port; the file is removed when it is stale."""
    from dewar.server import Server, Settings

    path = tmp_path / "s"
    for _ in range(2):
        server = Server(echo, Settings(bind=f"unix:{path}"))
        server.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b"".join(iter(lambda: client.recv(1000), b""))
        assert data.endswith(b"GET / 0 ")
        server.stop(5)


class VirtualClock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"GET / HTTP/1.1\r\nHo", b"408"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", b"408"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na", b"408"),
        (b"", None),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
    ],
)  # fmt: skip
def test_a_client_that_stops_sending_is_dropped_at_the_deadline(
    serve: Serve, begun: bytes, status: bytes | None
) -> None:
    """It never holds the one thread; 408 where a request had begun, else just the end."""
    clock = VirtualClock()
    served = serve(echo, clock, threads=1, header_timeout=15, body_timeout=30, keep_alive=75)
    stuck = served.client()
    stuck.send(begun)
    if begun.endswith(b"\r\n\r\n"):
        stuck.answer()
    other = served.client()
    assert other.get()[0] == b"HTTP/1.1 200 OK"
    # A look at an idle connection starts its time, so two steps past every deadline.
    for _ in range(2):
        clock.now += 100
        served.client().get()
    if status is not None:
        assert stuck.answer()[0] == b"HTTP/1.1 " + status + b" Request Timeout"
    assert stuck.is_closed()


def test_too_many_connections_are_turned_away(serve: Serve) -> None:
    """With 503, and not left waiting, if the others are not idle."""
    served = serve(echo, max_connections=2)
    clients = [served.client(), served.client()]
    for client in clients:
        assert client.get()[0] == b"HTTP/1.1 200 OK"
        client.send(b"GET / HTTP/1.1\r\n")
    wait_in_head(served.server, 2)
    third = served.client()
    assert third.answer()[0] == b"HTTP/1.1 503 Service Unavailable"
    assert third.is_closed()
    assert clients[0].ask(b"Host: x\r\n\r\n")[0] == b"HTTP/1.1 200 OK"
