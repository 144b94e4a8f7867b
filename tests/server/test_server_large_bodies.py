"""Large bodies: the application is asked before one is received, and all have a bound together."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.routing import BaseConverter

from dewar import Dewar, request
from dewar.mounting.dispatcher import DispatcherMiddleware
from polling import eventually
from servertools import Client, Serve, Served

MIB = 1024 * 1024
#: What a client sends of a body that nobody takes.
SENT = 4 * MIB
BODY = b"x" * SENT
HUGE = 200 * MIB
LENGTH = b"Content-Length: %d\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
EXPECT = b"Expect: 100-continue\r\n"


def head(target: str, fields: bytes, method: str = "POST", host: str = "x") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n".encode() + fields + b"\r\n"


def chunks(size: int) -> bytes:
    return b"".join([b"10000\r\n" + bytes(65536) + b"\r\n"] * (size // 65536))


def spooled(served: Served) -> int:
    return served.server.statistics().pool.spooled


def send_some(client: Client, data: bytes) -> None:
    """Send as far as the server takes it; it may close before."""
    try:
        client.send(data)
    except OSError:
        return


def plain_app(**config: Any) -> Dewar:
    app = Dewar("plain", static_folder=None)
    app.config.update(config)

    @app.post("/take")
    def take() -> str:
        return str(len(request.get_data()))

    @app.post("/slash/")
    def slash() -> str:
        return take()

    @app.get("/get-only")
    def get_only() -> str:
        return "got"

    @app.post("/careless")
    def careless() -> str:
        return "did not look"

    return app


def async_app(**config: Any) -> Dewar:
    app = Dewar("async", static_folder=None)
    app.config.update(config)

    @app.post("/take")
    async def take() -> str:
        return str(len(request.get_data()))

    @app.post("/slash/")
    async def slash() -> str:
        return await take()

    @app.get("/get-only")
    async def get_only() -> str:
        return "got"

    @app.post("/careless")
    async def careless() -> str:
        return "did not look"

    @app.errorhandler(404)
    async def missing(error: Any) -> Any:
        return error

    return app


MAKERS = {"plain": plain_app, "async": async_app}

every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
CASES: dict[str, tuple[str, str, bytes]] = {
    "not found": ("POST", "/nowhere", b"404"),
    "wrong method": ("POST", "/get-only", b"405"),
    "redirect": ("POST", "/slash", b"308"),
    "too large": ("POST", "/take", b"413"),
    "not read": ("POST", "/careless", b"200"),
}


@every_kind
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threads", [1, 4])
def test_an_answer_without_the_body_does_not_wait_for_it(
    serve: Serve, make: Callable[..., Dewar], framing: str, case: str, threads: int
) -> None:
    """Nothing but a first piece is kept, the answer is the app's, and the connection ends."""
    served = serve(make(MAX_CONTENT_LENGTH=MIB), threads=threads, buffered_body=MIB // 2)
    method, target, status = CASES[case]
    client = served.client()
    if framing == "length":
        client.send(head(target, LENGTH % HUGE, method))
        send_some(client, BODY[: MIB // 4])
    else:
        client.send(head(target, CHUNKED, method))
        send_some(client, chunks(SENT))
    answer, fields, _ = client.answer()
    assert answer.split()[1] == status
    assert fields[b"connection"] == b"close"
    assert spooled(served) <= 2 * MIB
    send_some(client, BODY)
    assert client.is_closed()
    eventually(lambda: spooled(served) == 0)


@every_kind
def test_the_expectation_of_such_a_client_is_not_met(
    serve: Serve, make: Callable[..., Dewar]
) -> None:
    """The final answer comes instead of ``100 Continue``, without the body."""
    served = serve(make(MAX_CONTENT_LENGTH=MIB), threads=4)
    for method, target, status in CASES.values():
        client = served.client()
        answer = client.ask(head(target, EXPECT + LENGTH % HUGE, method))[0]
        assert answer.split()[1] == status


@every_kind
def test_a_body_that_the_app_takes_is_received_first(
    serve: Serve, make: Callable[..., Dewar]
) -> None:
    """Up to the limit and without one; the connection persists."""
    for limit in (SENT, None):
        client = serve(make(MAX_CONTENT_LENGTH=limit)).client()
        for fields, sent in ((LENGTH % SENT, BODY), (CHUNKED, chunks(SENT) + b"0\r\n\r\n")):
            status, answered, body = client.ask(head("/take", fields) + sent)
            assert (status, body) == (b"HTTP/1.1 200 OK", str(SENT).encode())
            assert b"connection" not in answered


@every_kind
def test_a_chunked_body_is_never_cut_off_at_the_limit(
    serve: Serve, make: Callable[..., Dewar]
) -> None:
    """Whether it is received first, or read by the view of a client that waits to be asked."""
    client = serve(make(MAX_CONTENT_LENGTH=65536), threads=8).client()
    assert client.ask(head("/take", CHUNKED) + chunks(65536) + b"0\r\n\r\n")[2] == b"65536"
    assert client.ask(head("/take", EXPECT + CHUNKED))[0] == b"HTTP/1.1 100 Continue"
    assert client.ask(chunks(65536) + b"0\r\n\r\n")[2] == b"65536"
    assert client.ask(head("/take", EXPECT + CHUNKED))[0] == b"HTTP/1.1 100 Continue"
    assert client.ask(chunks(65536) + b"1\r\nx\r\n0\r\n\r\n")[0].split()[1] == b"413"
    status = client.ask(head("/take", CHUNKED) + chunks(65536) + b"1\r\nx\r\n0\r\n\r\n")[0]
    assert status.split()[1] == b"413"


def test_who_reads_such_a_body_gets_it(serve: Serve) -> None:
    """An error handler may; then the connection persists."""
    app = plain_app()

    @app.errorhandler(404)
    def missing(error: Any) -> Any:
        return f"no, not for {len(request.get_data())} bytes", 404

    served = serve(app)
    client = served.client()
    for fields, sent in ((LENGTH % SENT, BODY), (CHUNKED, chunks(SENT) + b"0\r\n\r\n")):
        status, answered, body = client.ask(head("/nowhere", fields) + sent)
        assert status == b"HTTP/1.1 404 NOT FOUND"
        assert body == f"no, not for {SENT} bytes".encode()
        assert b"connection" not in answered
    eventually(lambda: spooled(served) == 0)


def test_only_some_threads_wait_for_such_bodies(serve: Serve, quiet: None) -> None:
    """The others get a 503, and the log says what to set."""
    entered = threading.Semaphore(0)
    app = plain_app()

    @app.errorhandler(404)
    def missing(error: Any) -> Any:
        entered.release()
        return str(len(request.get_data())), 404

    served = serve(app, threads=8)
    clients = [served.client() for _ in range(3)]
    for client in clients:
        client.send(head("/nowhere", LENGTH % SENT) + BODY[: MIB // 8])
        assert entered.acquire(timeout=10)
    assert clients[2].answer()[0] == b"HTTP/1.1 500 INTERNAL SERVER ERROR"
    assert served.client().get("/get-only")[2] == b"got"
    for client in clients[:2]:
        assert client.ask(BODY[MIB // 8 :])[2] == str(SENT).encode()


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_view_may_raise_the_limit(serve: Serve, kind: str) -> None:
    """As Flask has it; from the second request on the body is received first."""
    app = Dewar("raising", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MIB
    inputs: list[str] = []

    def take() -> str:
        inputs.append(type(request.environ["wsgi.input"]).__name__)
        request.max_content_length = 2 * SENT
        return str(len(request.get_data()))

    async def take_on_loop() -> str:
        return take()

    app.post("/take")(take if kind == "plain" else take_on_loop)
    client = serve(app, threads=8).client()
    for _ in range(2):
        assert client.ask(head("/take", LENGTH % SENT) + BODY)[2] == str(SENT).encode()
    assert inputs == ["ContinueBody", "DiskFile"]
    assert client.ask(head("/take", LENGTH % HUGE))[0].split()[1] == b"413"


class Finding(BaseConverter):
    """A converter that looks into the program, as those that read a database do."""

    called: list[str]

    def to_python(self, value: str) -> str:
        self.called.append(f"{value} {request.method}")
        return value


def test_converters_of_the_program_are_called_for_the_request_alone(serve: Serve) -> None:
    """On a thread that has its context; what they would say is not known before."""
    app = plain_app(MAX_CONTENT_LENGTH=MIB)
    called: list[str] = []
    app.url_map.converters["finding"] = type("Found", (Finding,), {"called": called})

    @app.post("/by/<finding:name>/<int:number>")
    def by(name: str, number: int) -> str:
        return f"{name} {number} {len(request.get_data())}"

    served = serve(app)
    small = LENGTH % MIB
    found = served.client().ask(head("/by/ada/1", small) + bytes(MIB))
    assert found[2] == b"ada 1 1048576"
    assert called == ["ada POST"]
    for target, status in (("/by/ada/1", b"413"), ("/by/ada/x", b"404"), ("/nowhere", b"404")):
        assert served.client().ask(head(target, LENGTH % HUGE))[0].split()[1] == status
    assert called == ["ada POST"] * 2
    eventually(lambda: spooled(served) == 0)


def mounted() -> Dewar:
    root = plain_app()
    root.mount("/inner", plain_app(MAX_CONTENT_LENGTH=MIB))
    root.mount("/", plain_app(MAX_CONTENT_LENGTH=MIB), host="api.example.com")
    return root


def dispatched() -> Any:
    inner = plain_app(MAX_CONTENT_LENGTH=MIB)
    return DispatcherMiddleware(plain_app(), {"/inner": inner}, {"api.example.com": inner})


@pytest.mark.parametrize("make", [mounted, dispatched])
def test_the_app_that_is_mounted_there_answers(serve: Serve, make: Callable[[], Any]) -> None:
    """By path and by host, each with its own limit."""
    served = serve(make())
    for target, host, status in (
        ("/nowhere", "x", b"404"),
        ("/inner/nowhere", "x", b"404"),
        ("/inner/take", "x", b"413"),
        ("/take", "api.example.com", b"413"),
        ("/get-only", "api.example.com", b"405"),
    ):
        answer = served.client().ask(head(target, LENGTH % HUGE, host=host))[0]
        assert answer.split()[1] == status
    client = served.client()
    client.send(head("/take", LENGTH % HUGE) + BODY)
    eventually(lambda: spooled(served) >= 3 * MIB)
    client.close()
    eventually(lambda: spooled(served) == 0)


def test_behind_a_proxy_the_app_is_asked_for_what_it_will_see(serve: Serve) -> None:
    """With the path and the host that the proxy middleware makes."""
    served = serve(
        plain_app(MAX_CONTENT_LENGTH=MIB),
        trusted_hosts="127.0.0.1",
        forwarded_headers="x-forwarded-host, forwarded",
        script_name="/shop",
    )
    for target, status in (("/shop/take", b"413"), ("/shop/nowhere", b"404")):
        assert served.client().ask(head(target, LENGTH % HUGE))[0].split()[1] == status
    taken = served.client().ask(head("/shop/take", LENGTH % MIB) + bytes(MIB))
    assert taken[2] == b"1048576"
    ambiguous = b"X-Forwarded-Host: a\r\nForwarded: host=b\r\n"
    answer = served.client().ask(head("/shop/take", ambiguous + LENGTH % HUGE))[0]
    assert answer.split()[1] == b"400"


class Rewriting:
    """Middleware that moves paths, and passes on the attributes of the app."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/v1")
        return self.app(environ, start_response)


def inside_of_app() -> Dewar:
    app = plain_app(MAX_CONTENT_LENGTH=SENT)
    app.wsgi_app = Rewriting(app.wsgi_app)  # type: ignore[method-assign]
    return app


def around_app() -> Any:
    return Rewriting(plain_app(MAX_CONTENT_LENGTH=SENT))


def around_mounted() -> Any:
    return DispatcherMiddleware(plain_app(), {"/outer": around_app()})


class OwnCall(Dewar):
    """An app that moves paths itself."""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/v1")
        return super().__call__(environ, start_response)


def subclassed() -> Dewar:
    app = OwnCall("own", static_folder=None)
    app.post("/take")(lambda: str(len(request.get_data())))
    return app


@pytest.mark.parametrize("make", [inside_of_app, around_app, around_mounted, subclassed])
def test_nobody_is_asked_past_middleware(serve: Serve, make: Callable[[], Any]) -> None:
    """It may lead the request elsewhere: the body is received first, on no thread."""
    app = make()
    outer = "/outer" if isinstance(app, DispatcherMiddleware) else ""
    client = serve(app, threads=4).client()
    for _ in range(2):
        status, _, body = client.ask(head(f"{outer}/v1/take", LENGTH % SENT) + BODY)
        assert (status, body) == (b"HTTP/1.1 200 OK", str(SENT).encode())


def echo_size(environ: Any, start_response: Any) -> Any:
    """Answer with the length of the body."""
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [])
    return [b"%d" % size]


@pytest.fixture
def bounded(serve: Serve) -> Served:
    return serve(echo_size, max_spooled=6 * MIB)


def test_bodies_on_disk_have_a_bound_together(
    bounded: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Past it 503 with Retry-After, until one of them ends."""
    caplog.set_level(logging.WARNING, "dewar.server")
    first = bounded.client()
    first.send(head("/", LENGTH % (SENT + 1)) + BODY)
    eventually(lambda: spooled(bounded) >= SENT - 65536)
    for fields, sent in ((LENGTH % SENT, BODY), (CHUNKED, chunks(SENT))):
        second = bounded.client()
        second.send(head("/", fields))
        send_some(second, sent)
        status, answered, _ = second.answer()
        assert status == b"HTTP/1.1 503 Service Unavailable"
        assert answered[b"retry-after"] == b"1"
    assert bounded.client().ask(head("/", LENGTH % 3) + b"abc")[2] == b"3"
    assert first.ask(b"x")[2] == str(SENT + 1).encode()
    eventually(lambda: spooled(bounded) == 0)
    assert bounded.client().ask(head("/", LENGTH % SENT) + BODY)[2] == str(SENT).encode()
    said = [r.getMessage() for r in caplog.records if "max_spooled" in r.getMessage()]
    assert len(said) == 1


def test_a_body_that_could_never_be_stored_is_a_413(bounded: Served) -> None:
    """As soon as that is known."""
    for fields, sent in ((LENGTH % (8 * MIB), BODY), (CHUNKED, chunks(8 * MIB))):
        client = bounded.client()
        client.send(head("/", fields))
        send_some(client, sent)
        assert client.answer()[0] == b"HTTP/1.1 413 Content Too Large"
    eventually(lambda: spooled(bounded) == 0)


def test_whatever_ends_a_body_gives_its_room_back(bounded: Served) -> None:
    """A client that leaves, nonsense in the middle, and an application that fails or closes it."""
    for _ in range(3):
        client = bounded.client()
        client.send(head("/", LENGTH % (5 * MIB)) + BODY)
        eventually(lambda: spooled(bounded) >= 3 * MIB)
        client.close()
        eventually(lambda: spooled(bounded) == 0)
        client = bounded.client()
        client.send(head("/", CHUNKED) + chunks(SENT) + b"nonsense\r\n")
        assert client.answer()[0] == b"HTTP/1.1 400 Bad Request"
        eventually(lambda: spooled(bounded) == 0)


@pytest.fixture
def failing(serve: Serve, quiet: None) -> Served:
    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/close":
            environ["wsgi.input"].close()
            start_response("200 OK", [])
            return [b"closed"]
        raise ValueError("the application fails")

    return serve(app)


def test_an_app_that_fails_or_closes_the_body_gives_its_room_back(failing: Served) -> None:
    """Once, however often it is closed."""
    for target, status in (("/close", b"200"), ("/fail", b"500")):
        client = failing.client()
        assert client.ask(head(target, LENGTH % SENT) + BODY)[0].split()[1] == status
        eventually(lambda: spooled(failing) == 0)
