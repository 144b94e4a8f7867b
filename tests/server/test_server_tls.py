"""HTTPS: what clients see of it, with clients that others have written."""

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificates
from dewar.server import Server, Settings
from dewar.server.connection import transport
from dewar.server.connection.readiness import wait_ready
from dewar.server.startup_lines import banner
from servertools import Client, Serve, Served, wait_in_head

NAMES = ("wsgi.url_scheme", "HTTPS", "SERVER_NAME", "REMOTE_ADDR", "PATH_INFO")


def app(environ: Any, start_response: Any) -> Any:
    """Answer by path: the body, a large one, a stream, a file, or the environ."""
    path = environ["PATH_INFO"]
    start_response("200 OK", [])
    if path == "/echo":
        return [environ["wsgi.input"].read()]
    if path == "/count":
        count = 0
        while piece := environ["wsgi.input"].read(65536):
            count += len(piece)
        return [str(count).encode()]
    if path == "/stream":
        return (bytes([65 + number % 26]) * 50_000 for number in range(100))
    if path == "/file":
        return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))
    return [",".join(str(environ.get(name)) for name in NAMES).encode()]


@pytest.fixture
def served(serve: Serve, certificates: Certificates) -> Served:
    return serve(app, **certificates.pair())


@pytest.fixture
def client(served: Served, certificates: Certificates) -> Client:
    return served.client(certificates.client())


def everything(client: Client, count: int) -> bytes:
    parts = []
    while count > 0:
        parts.append(client.sock.recv(65536))
        count -= len(parts[-1]) or count
    return b"".join(parts)


def test_the_application_is_told(client: Client) -> None:
    """By the scheme, and by HTTPS as CGI has it; the connection persists."""
    for path in ("/1", "/2"):
        _, _, body = client.get(path)
        assert body == f"https,on,127.0.0.1,127.0.0.1,{path}".encode()


def test_the_address_and_the_banner_say_https(served: Served) -> None:
    """So that a click on it works."""
    [address] = served.server.addresses
    assert address.startswith("https://127.0.0.1:")
    assert f" on {address} " in banner("app", served.server.addresses, served.server.settings)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_version_serves_http_1_1_and_resumes(
    served: Served, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    """ALPN says http/1.1; a client that comes back needs no full handshake."""
    context = certificates.client()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    client = served.client(context)
    client.get()
    first: Any = client.sock
    assert first.selected_alpn_protocol() == "http/1.1"
    with socket.create_connection(served.address) as sock:
        again = context.wrap_socket(sock, server_hostname="localhost", session=first.session)
        assert again.session_reused
        again.close()


def test_an_old_version_is_refused(served: Served, certificates: Certificates) -> None:
    """TLS 1.1 is not spoken (RFC 8996)."""
    context = certificates.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        served.client(context)


def test_http_goes_on_as_without_tls(client: Client) -> None:
    """Pipelining, chunks both ways, and an expectation."""
    client.send(
        b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
        b"GET /4 HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert [client.answer()[2][-2:] for _ in range(3)] == [b"/1", b"de", b"/4"]
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert client.ask(head)[0] == b"HTTP/1.1 100 Continue"
    assert client.ask(b"ok")[2] == b"ok"


def test_files_and_streams_are_sent_through_tls(client: Client) -> None:
    """Also what could be sent by the kernel were it plain."""
    assert client.get("/file")[2] == Path(__file__).read_bytes()
    body = client.get("/stream")[2]
    assert body == b"".join(bytes([65 + number % 26]) * 50_000 for number in range(100))


def test_a_large_body_comes_in(client: Client) -> None:
    """20 MB, in records of the client's choice."""
    client.send(b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n")
    piece = bytes(1_000_003)
    left = 20_000_000
    while left:
        client.send(piece[:left])
        left -= min(left, len(piece))
    assert client.answer()[2] == b"20000000"


def test_a_client_that_reads_slowly_holds_no_thread(
    serve: Serve, certificates: Certificates
) -> None:
    """What it does not take waits, encrypted in part, and the one thread serves others."""
    large = bytes(range(256)) * 40_000

    def slow_app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [large if environ["PATH_INFO"] == "/large" else b"small"]

    served = serve(slow_app, threads=1, **certificates.pair())
    slow = served.client(certificates.client())
    slow.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert served.client(certificates.client()).get()[2] == b"small"
    head = slow._until(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(large) in head
    rest = slow._rest
    slow._rest = b""
    assert rest + everything(slow, len(large) - len(rest)) == large
    assert slow.get()[2] == b"small"


def test_a_stream_is_held_back_by_its_client(
    serve: Serve, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application is not asked for more than the client takes."""
    blocked, passed = threading.Event(), threading.Event()

    def wait_for_client(*args: Any) -> None:
        blocked.set()
        wait_ready(*args)

    monkeypatch.setattr(transport, "wait_ready", wait_for_client)

    def long(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])

        def pieces() -> Any:
            for number in range(300):
                if number == 250:  # far more than the buffers of two sockets hold
                    passed.set()
                yield bytes(100_000)

        return pieces()

    served = serve(long, certfile=certificates.path("both.pem"))
    client = served.client(certificates.client())
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert blocked.wait(10)
    assert not passed.is_set()
    client._until(b"\r\n\r\n")
    assert len(client._rest) + len(everything(client, 30_000_000)) == 30_000_000
    assert passed.is_set()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_part_is_never_taken_for_the_whole(
    serve: Serve, certificates: Certificates, version: bytes, quiet: None
) -> None:
    """Where an application fails half-way, the client reads no clean end."""

    def failing(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"half"
        raise RuntimeError("on purpose")

    served = serve(failing, **certificates.pair())
    context = certificates.client()
    with socket.create_connection(served.address, timeout=10) as plain:
        sock = context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)
        sock.sendall(b"GET / HTTP/%b\r\nHost: x\r\n\r\n" % version)
        answer = b""
        with suppress(ConnectionResetError, ssl.SSLEOFError):
            while piece := sock.recv(65536):
                answer += piece
            assert not answer.endswith(b"half"), "a clean end without a length"
        sock.close()
    assert not answer.endswith(b"0\r\n\r\n")


def test_each_client_gets_the_certificate_it_asks_for(
    serve: Serve, certificates: Certificates
) -> None:
    """A context of one's own is used as it is: here with two host names (SNI)."""
    context, other = certificates.server(), certificates.server("other")

    def choose(sock: Any, name: str | None, original: ssl.SSLContext) -> None:
        if name == "other.test":
            sock.context = other

    context.sni_callback = choose
    served = serve(app, ssl_context=context)
    for name in ("localhost", "other.test"):
        client = served.client(certificates.client(), name=name)
        shown: Any = client.sock
        assert (("commonName", name),) in shown.getpeercert()["subject"]
        assert client.get()[0] == b"HTTP/1.1 200 OK"


def test_clients_must_show_a_certificate_if_so_told(
    serve: Serve, certificates: Certificates
) -> None:
    """The application is told whose; who has none, or one of nobody's, is refused."""
    seen: list[dict[str, Any]] = []

    def secret(environ: Any, start_response: Any) -> Any:
        seen.append(environ)
        return app(environ, start_response)

    served = serve(secret, **certificates.pair(), client_ca=certificates.path("ca.pem"))
    assert served.client(certificates.client("client")).get()[0] == b"HTTP/1.1 200 OK"
    [environ] = seen
    assert environ["SSL_CLIENT_VERIFY"] == "SUCCESS"
    name = environ["SSL_CLIENT_S_DN"].encode("latin-1").decode()
    assert name == "CN=J\u00fcrgen,O=Ex\\, Inc.,C=DE"
    file = Path(certificates.path("client.pem")).read_text()
    assert environ["SSL_CLIENT_CERT"].split() == file.split()
    assert environ["SSL_PROTOCOL"] == "TLSv1.3"
    assert environ["SSL_CIPHER"].startswith("TLS_")
    for name in (None, "stranger"):
        with pytest.raises(ssl.SSLError, match=r"alert (certificate required|unknown ca)"):
            served.client(certificates.client(name)).get()
    assert len(seen) == 1


def test_a_certificate_may_be_left_to_the_client(serve: Serve, certificates: Certificates) -> None:
    """With a context that says so; the application sees which it is."""
    context = certificates.server()
    context.load_verify_locations(certificates.path("ca.pem"))
    context.verify_mode = ssl.CERT_OPTIONAL
    seen: list[dict[str, Any]] = []

    def noting(environ: Any, start_response: Any) -> Any:
        seen.append(environ)
        return app(environ, start_response)

    served = serve(noting, ssl_context=context)
    served.client(certificates.client()).get()
    served.client(certificates.client("client")).get()
    assert [environ["SSL_CLIENT_VERIFY"] for environ in seen] == ["NONE", "SUCCESS"]
    assert "SSL_CLIENT_CERT" not in seen[0]


def test_plain_http_is_told_where_to_go(served: Served) -> None:
    """And TLS on a port for plain HTTP is refused."""
    client = served.client()
    status, _, body = client.get()
    assert status == b"HTTP/1.1 400 Bad Request"
    assert body == f"This port speaks HTTPS: {served.server.addresses[0]}/\n".encode()
    assert client.is_closed()


def test_tls_on_a_plain_port_is_refused(serve: Serve) -> None:
    """It is no request."""
    client = serve(app).client()
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert client.answer()[0] == b"HTTP/1.1 400 Bad Request"


def test_many_clients_come_at_once(served: Served, certificates: Certificates) -> None:
    """Fifty, at one barrier, each with some requests."""
    barrier = threading.Barrier(50)
    right: list[bool] = []
    context = certificates.client()

    def visit(number: int) -> None:
        barrier.wait()
        client = Client(served.address, context)
        body = bytes([number]) * 30_000
        head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n"
        right.extend(client.ask(head + body)[2] == body for _ in range(4))
        client.close()

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert right == [True] * 200


class VirtualClock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_slow_handshakes_cost_no_thread_and_end(serve: Serve, certificates: Certificates) -> None:
    """Two hundred clients that never finish theirs, on a server with one thread."""
    clock = VirtualClock()
    served = serve(app, clock, threads=1, header_timeout=15.0, **certificates.pair())
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    slow = [socket.create_connection(served.address, timeout=10) for _ in range(200)]
    for sock in slow[::2]:
        sock.sendall(hello)
    client = served.client(certificates.client())
    assert client.get()[0] == b"HTTP/1.1 200 OK"
    pool = served.server.statistics().pool
    assert (pool.threads, pool.connections) == (1, 201)
    clock.now += 16
    assert client.get()[0] == b"HTTP/1.1 200 OK"
    assert [sock.recv(1) for sock in slow] == [b""] * 200
    assert served.server.statistics().pool.connections == 1
    for sock in slow:
        sock.close()


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x00\x05hello", b"\x00" * 100, b"\x16\x03\x01\xff\xff", b"\x15\x03\x01"],
)
def test_garbage_instead_of_a_handshake_ends_the_connection(
    served: Served, certificates: Certificates, garbage: bytes
) -> None:
    """With an alert at most; others do not notice."""
    rude = served.client()
    rude.send(garbage)
    rude.sock.shutdown(socket.SHUT_WR)
    with suppress(ConnectionResetError):
        assert rude.rest()[:1] in (b"", b"\x15")
    assert served.client(certificates.client()).get()[0] == b"HTTP/1.1 200 OK"


def test_a_client_may_end_its_side_first(served: Served, certificates: Certificates) -> None:
    """Its request is answered, and then it is goodbye, in TLS too."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certificates.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    sock = served.client().sock

    def hear() -> None:
        sock.sendall(outgoing.read())
        data = sock.recv(65536)
        incoming.write(data) if data else incoming.write_eof()

    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            hear()
        else:
            break
    tls.write(b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n")
    with suppress(ssl.SSLWantReadError):
        tls.unwrap()
    answer = b""
    while True:
        try:
            piece = tls.read(65536)
        except ssl.SSLWantReadError:
            hear()
            continue
        except ssl.SSLZeroReturnError:
            break
        answer += piece
    assert answer.endswith(b",/half")


def test_records_may_come_byte_by_byte(served: Served, certificates: Certificates) -> None:
    """Through a socket, with a segment for each byte."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certificates.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    sock = served.client().sock
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def act(step: Any) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    sock.sendall(bytes([byte]))
                incoming.write(sock.recv(65536))

    act(tls.do_handshake)
    tls.write(b"GET /slowly HTTP/1.1\r\nHost: x\r\n\r\n")
    assert act(lambda: tls.read(65536)).endswith(b",/slowly")


def test_who_is_too_many_is_turned_away(serve: Serve, certificates: Certificates) -> None:
    """Without a word, which it could not understand before a handshake."""
    served = serve(app, max_connections=1, **certificates.pair())
    served.client(certificates.client()).send(b"GET / HTTP/1.1\r\n")
    wait_in_head(served.server, 1)
    with pytest.raises(OSError, match=r"reset|EOF|closed"):
        served.client(certificates.client())
    assert served.server.statistics().pool.rejected == 1


def test_curl_is_content(served: Served, certificates: Certificates) -> None:
    """With both directions of a transfer, on one connection."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs the curl command")
    _, port = served.address
    url = f"https://localhost:{port}"
    data = Path(__file__).read_bytes()
    arguments = [curl, "-sS", "--fail", "--cacert", certificates.path("ca.pem"), "-4"]
    done = subprocess.run(
        [*arguments, "--data-binary", "@-", f"{url}/echo", f"{url}/echo"],
        input=data, capture_output=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == data * 2


def test_openssl_can_not_renegotiate(served: Served, certificates: Certificates) -> None:
    """What it asks for is declined; others do not notice."""
    host, port = served.address
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2", "-CAfile",
         certificates.path("ca.pem"), "-verify_return_error"],
        input=b"R\n", capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert b"Verify return code: 0 (ok)" in done.stdout
    assert b"no renegotiation" in done.stderr
    assert served.client(certificates.client()).get()[0] == b"HTTP/1.1 200 OK"


def test_a_stop_says_goodbye(certificates: Certificates) -> None:
    """Who is idle reads a clean end."""
    server = Server(app, Settings(bind="127.0.0.1:0", **certificates.pair()))
    server.start()
    port = int(server.addresses[0].rpartition(":")[2])
    client = Client(("127.0.0.1", port), certificates.client())
    client.get()
    assert isinstance(client.sock, ssl.SSLSocket)
    client.sock.suppress_ragged_eofs = False
    assert server.stop(5)
    assert client.sock.recv(10) == b""
    client.close()


def test_flask_run_serves_https(certificates: Certificates, tmp_path: Path) -> None:
    """With the two options of Flask's command."""
    (tmp_path / "shop.py").write_text(
        "from dewar import Dewar, request\napp = Dewar(__name__)\n"
        "@app.get('/')\ndef index():\n    return request.url\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pair = certificates.pair()
    command = [
        sys.executable, "-c", "from dewar.cli.flask_group import FlaskGroup; FlaskGroup().main()",
        "--app", "shop", "run", "--port", str(port), "--cert", pair["certfile"], "--key",
        pair["keyfile"],
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert f"https://127.0.0.1:{port}" in line, line
        client = Client(("127.0.0.1", port), certificates.client())
        assert client.get()[2] == b"https://x/"
        client.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0
