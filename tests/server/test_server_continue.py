"""``Expect: 100-continue`` (RFC 9110 §10.1.1): the application decides, by reading or not."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dewar import Dewar, request
from servertools import Client, Serve, Served

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n%b\r\n"
LENGTH = b"Content-Length: %d\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def echo(environ: Any, start_response: Any) -> Any:
    """Send the body back."""
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def deaf(environ: Any, start_response: Any) -> Any:
    """Answer without reading."""
    start_response("403 Forbidden", [])
    return [b"no"]


def send_and_have_read(served: Served, client: Client, data: bytes) -> None:
    """Send something, and return when the only thread of the server has looked at it."""
    client.send(data)
    other = served.client()
    for _ in range(3):  # the first may be answered in the same round, the others may not
        other.get()


@pytest.mark.parametrize("threads", [1, 8])
def test_an_application_that_reads_has_the_client_go_on(serve: Serve, threads: int) -> None:
    """And the connection goes on after it."""
    client = serve(echo, threads=threads).client()
    for body in (b"first", b"second"):
        assert client.ask(HEAD % (LENGTH % len(body)))[0] == b"HTTP/1.1 100 Continue"
        status, fields, answer = client.ask(body)
        assert (status, answer) == (b"HTTP/1.1 200 OK", body)
        assert b"connection" not in fields


@pytest.mark.parametrize("threads", [1, 8])
def test_an_application_that_does_not_read_spares_the_client_the_sending(
    serve: Serve, threads: int
) -> None:
    """The final answer comes at once; nobody can say what follows, so the connection ends."""
    client = serve(deaf, threads=threads).client()
    client.send(HEAD % (LENGTH % 5_000_000))
    status, fields, body = client.answer(hangs_up=False)
    assert (status, fields[b"connection"], body) == (b"HTTP/1.1 403 Forbidden", b"close", b"no")
    client.send(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.is_closed()


def test_a_body_too_large_is_refused_before_it_is_sent(serve: Serve) -> None:
    """By its length alone."""
    client = serve(echo, max_body=10).client()
    assert client.ask(HEAD % (LENGTH % 11))[0] == b"HTTP/1.1 413 Content Too Large"


def test_a_client_that_does_not_wait_is_not_told(serve: Serve) -> None:
    """It has sent all by then."""
    client = serve(echo).client()
    assert client.ask(HEAD % (LENGTH % 2) + b"ok")[2] == b"ok"


def test_an_expectation_ends_with_its_request(serve: Serve) -> None:
    """One that sent its body at once is not told to go on at the connection's next request."""
    served = serve(echo, threads=1)
    client = served.client()
    assert client.ask(HEAD % (LENGTH % 2) + b"ok")[2] == b"ok"
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
    send_and_have_read(served, client, head + b"ha")
    status, _, body = client.ask(b"lf")
    assert (status, body) == (b"HTTP/1.1 200 OK", b"half")


def test_a_late_body_may_be_chunked(serve: Serve) -> None:
    """Its trailer does not reach the application."""
    client = serve(echo).client()
    assert client.ask(HEAD % CHUNKED)[0] == b"HTTP/1.1 100 Continue"
    client.send(b"3\r\nabc\r\n")
    client.send(b"2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n")
    assert client.answer()[2] == b"abcde"
    assert client.get()[2] == b""


@pytest.mark.parametrize(
    ("fields", "sent", "status"),
    [
        (CHUNKED, b"nonsense\r\n", b"HTTP/1.1 400 Bad Request"),
        (CHUNKED, b"ff\r\n" + b"x" * 255 + b"\r\n", b"HTTP/1.1 413 Content Too Large"),
    ],
)
def test_a_late_body_that_is_refused_gets_its_own_status(
    serve: Serve, fields: bytes, sent: bytes, status: bytes
) -> None:
    """Where the response has not begun, it is not the application's fault."""
    client = serve(echo_late, max_body=100).client()
    assert client.ask(HEAD % fields)[0] == b"HTTP/1.1 100 Continue"
    assert client.ask(sent)[0] == status
    assert client.is_closed()


def echo_late(environ: Any, start_response: Any) -> Any:
    """Read first, then answer."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [body]


def test_a_late_body_has_a_deadline(serve: Serve) -> None:
    """A client that waits for 100 and then sends nothing cannot hold a thread for ever."""
    client = serve(echo_late, body_timeout=0.1).client()
    assert client.ask(HEAD % (LENGTH % 5))[0] == b"HTTP/1.1 100 Continue"
    client.send(b"ab")
    assert client.answer()[0] == b"HTTP/1.1 408 Request Timeout"
    assert client.is_closed()


def test_a_client_that_leaves_is_noticed_by_who_waits_for_its_body(serve: Serve) -> None:
    """The read fails, and the thread is free again."""
    raised: list[BaseException] = []
    done = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/well":
            start_response("200 OK", [])
            return [b"well"]
        try:
            return echo_late(environ, start_response)
        except ConnectionError as error:
            raised.append(error)
            raise
        finally:
            done.set()

    served = serve(app, threads=1)
    client = served.client()
    assert client.ask(HEAD % (LENGTH % 5))[0] == b"HTTP/1.1 100 Continue"
    client.close()
    assert done.wait(10)
    assert len(raised) == 1
    assert served.client().get("/well")[2] == b"well"


def test_nothing_is_said_after_the_response_has_begun(serve: Serve) -> None:
    """A 100 in the middle of a body would be a part of it."""
    read = threading.Event()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun "
        read.set()
        yield environ["wsgi.input"].read()

    client = serve(app).client()
    client.send(HEAD % (LENGTH % 4))
    assert read.wait(10)
    client.send(b"body")
    status, fields, body = client.answer()
    assert (status, body) == (b"HTTP/1.1 200 OK", b"begun body")
    assert fields[b"connection"] == b"close"


WAYS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda file: file.read(),
    "read none": lambda file: file.read(None),
    "pieces": lambda file: b"".join(iter(lambda: file.read(3), b"")),
    "lines": lambda file: b"".join(iter(lambda: file.readline(), b"")),
    "line pieces": lambda file: b"".join(iter(lambda: file.readline(2), b"")),
    "readlines": lambda file: b"".join(file.readlines()),
    "iteration": lambda file: b"".join(file),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_late_body_is_read_in_every_way(serve: Serve, way: str) -> None:
    """As PEP 3333 lists them."""

    def app(environ: Any, start_response: Any) -> Any:
        body = WAYS[way](environ["wsgi.input"])
        start_response("200 OK", [])
        return [body, b"|", environ["wsgi.input"].read()]

    client = serve(app).client()
    assert client.ask(HEAD % (LENGTH % 12))[0] == b"HTTP/1.1 100 Continue"
    assert client.ask(b"one\ntwo\nfour")[2] == b"one\ntwo\nfour|"


def test_a_late_body_can_not_be_read_after_its_request(serve: Serve) -> None:
    """The connection is another request's by then."""
    kept: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        kept.append(environ["wsgi.input"])
        return deaf(environ, start_response)

    client = serve(app).client()
    client.ask(HEAD % (LENGTH % 3))
    assert client.is_closed()
    with pytest.raises(ValueError, match="has ended"):
        kept[0].read()


def test_only_some_threads_wait_for_bodies(serve: Serve) -> None:
    """For further clients the server decides itself, and waits without a thread."""
    entered = threading.Semaphore(0)

    def app(environ: Any, start_response: Any) -> Any:
        entered.release()
        return echo(environ, start_response)

    served = serve(app, threads=8)
    clients = [served.client() for _ in range(20)]
    for client in clients:
        assert client.ask(HEAD % (LENGTH % 3))[0] == b"HTTP/1.1 100 Continue"
    for _ in range(2):
        assert entered.acquire(timeout=10)
    assert not entered.acquire(blocking=False)
    assert served.client().get()[2] == b""
    for client in clients:
        assert client.ask(b"abc")[2] == b"abc"


def test_pipelined_expectations_are_met_in_order(serve: Serve) -> None:
    """Each body is asked for after the answer before it."""
    client = serve(echo).client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD % (LENGTH % 1))
    assert client.answer()[0] == b"HTTP/1.1 200 OK"
    assert client.answer()[0] == b"HTTP/1.1 100 Continue"
    client.send(b"a" + HEAD % (LENGTH % 1))
    assert client.answer()[2] == b"a"
    assert client.answer()[0] == b"HTTP/1.1 100 Continue"
    client.send(b"b" + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.answer()[2] == b"b"
    assert client.answer()[2] == b""


def test_http_1_0_has_no_expectations(serve: Serve) -> None:
    """The field is ignored there."""
    served = serve(echo, threads=1)
    client = served.client()
    head = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    send_and_have_read(served, client, head)
    status, _, body = client.ask(b"ok")
    assert (status, body) == (b"HTTP/1.1 200 OK", b"ok")


def test_an_upload_to_an_app_that_checks_first(serve: Serve) -> None:
    """As people use it: a form is read where the user may send one."""
    app = Dewar("uploads")

    @app.post("/<name>")
    def upload(name: str) -> Any:
        if name != "ada":
            return "Who are you?", 401
        return request.files["file"].read()

    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        b"content\r\n--b--\r\n"
    )
    fields = b"Content-Type: multipart/form-data; boundary=b\r\n" + LENGTH % len(body)
    served = serve(app)
    client = served.client()
    head = HEAD % fields
    assert client.ask(head.replace(b" / ", b" /eve "))[0] == b"HTTP/1.1 401 UNAUTHORIZED"
    client = served.client()
    assert client.ask(head.replace(b" / ", b" /ada "))[0] == b"HTTP/1.1 100 Continue"
    assert client.ask(body)[2] == b"content"
