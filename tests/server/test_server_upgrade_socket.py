"""Requests whose connection the application takes as a blocking socket, as extensions do."""

import errno
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificates
from dewar.server.threads import upgrade_threads
from dewar.server.threads.leader_duties import PoolState
from polling import eventually
from servertools import Client, Serve, Served
from upgradetools import GOING_AWAY, SWITCHED, ask, exchange

TESTS = Path(__file__).parents[1]
KEYS = ("werkzeug.socket", "gunicorn.socket")


class SocketApp:
    """Takes the connections of ``/ws`` and gives each socket to a function.

    Attributes:
        sockets: The sockets, in the order of their requests.
        served: Set by `connect`.
        ended: Released once for each call that has ended.
    """

    def __init__(self, use: Callable[[Any], object]) -> None:
        self._use = use
        self.served: Any = None
        self.sockets: list[Any] = []
        self.ended = threading.Semaphore(0)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer in HTTP, or leave it."""
        if environ["PATH_INFO"] == "/ws":
            sock = environ[KEYS[0]]
            assert environ[KEYS[1]] is sock
            self.sockets.append(sock)
            try:
                self._use(sock)
            finally:
                self.ended.release()
        start_response("200 OK", [])
        return [b"plain"]


def echo(sock: Any) -> None:
    """Switch, then send everything back until the client ends."""
    sock.sendall(SWITCHED)
    while data := sock.recv(65536):
        sock.send(data)


def upgraded(served: Served, context: Any = None) -> Client:
    """Return a client that has left HTTP."""
    client = served.client(context)
    client.send(ask("/ws"))
    assert client._exactly(len(SWITCHED)) == SWITCHED
    return client


@pytest.fixture(params=["plain", "with TLS", "with early bytes"])
def connect(
    request: pytest.FixtureRequest, serve: Serve, certificates: Certificates
) -> Callable[[Any], Client]:
    """Serve an application, and return its first client, once that has left HTTP."""
    secure = request.param == "with TLS"

    def connected(app: Any) -> Client:
        served = app.served = serve(app, threads=2, **(certificates.pair() if secure else {}))
        client = served.client(certificates.client() if secure else None)
        early = b"early" if request.param == "with early bytes" else b""
        client.send(ask("/ws") + early)
        if not early:
            client.send(b"early")
        assert client._exactly(len(SWITCHED)) == SWITCHED
        return client

    return connected


def test_both_sides_send_what_they_like(connect: Callable[[Any], Client]) -> None:
    """More than fits into the system's buffers too, until the client ends its side."""
    client = connect(SocketApp(echo))
    assert client._exactly(5) == b"early"
    large = os.urandom(3_000_000)
    assert exchange(client, large, len(large)) == large
    if type(client.sock) is socket.socket:
        client.sock.shutdown(socket.SHUT_WR)
        assert client.rest() == b""


def test_a_selector_sees_what_can_be_received(connect: Callable[[Any], Client]) -> None:
    """Also what the server had read by then, and what TLS has decrypted."""

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        data = b""
        while len(data) < 5:
            assert select.select([sock], [], [], 20)[0] == [sock]
            data += sock.recv(2)
        sock.sendall(data)

    client = connect(SocketApp(use))
    assert client.rest() == b"early"


def test_what_was_sent_last_arrives(connect: Callable[[Any], Client]) -> None:
    """Although the application closes at once, and has not read all."""

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        sock.sendall(b"z" * 300_000)
        sock.close()
        sock.close()

    client = connect(SocketApp(use))
    assert client.rest() == b"z" * 300_000


@pytest.mark.parametrize(
    ("error", "is_logged"),
    [
        (ZeroDivisionError, True),
        (SystemExit, True),
        (StopIteration, False),
        (ConnectionError, False),
    ],
)
def test_what_the_application_raises_is_not_sent(
    connect: Callable[[Any], Client],
    caplog: pytest.LogCaptureFixture,
    error: type[BaseException],
    is_logged: bool,
) -> None:
    """Programs end so under gunicorn and Werkzeug's server; other errors are logged."""

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        raise error

    app = SocketApp(use)
    client = connect(app)
    assert client.rest() == b""
    assert (error.__name__ in caplog.text) is is_logged


def test_one_that_is_kept_is_closed(connect: Callable[[Any], Client]) -> None:
    """The connection ends with the application's call."""
    app = SocketApp(lambda sock: sock.sendall(SWITCHED))
    client = connect(app)
    assert client.rest() == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        app.sockets[0].send(b"x")


def test_a_thread_that_still_receives_may_answer_the_close(
    connect: Callable[[Any], Client],
) -> None:
    """As that of simple-websocket, which wakes the application before it answers."""
    reader_woken, app_left = threading.Event(), threading.Event()

    def read(sock: Any) -> None:
        while b"close" not in sock.recv(100):
            pass
        reader_woken.set()
        assert app_left.wait(20)
        sock.sendall(b"closing")
        sock.close()

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        threading.Thread(target=read, args=(sock,)).start()
        assert reader_woken.wait(20)

    class App(SocketApp):
        def __call__(self, environ: Any, start_response: Any) -> Any:
            result = super().__call__(environ, start_response)
            app_left.set()
            return result

    client = connect(App(use))
    client.send(b"close")
    assert client.rest() == b"closing"


def test_a_thread_that_receives_for_ever_is_woken(connect: Callable[[Any], Client]) -> None:
    """It reads the end, or gets an error."""
    ended, receives = threading.Event(), threading.Event()

    def read(sock: Any) -> None:
        try:
            while sock.recv(100):
                receives.set()
        except OSError:
            pass
        ended.set()

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        threading.Thread(target=read, args=(sock,)).start()
        assert receives.wait(20)

    client = connect(SocketApp(use))
    assert client.rest() == b""
    assert ended.wait(20)


@pytest.mark.parametrize("how", ["recv_into", "sendall"])
def test_a_thread_that_waits_otherwise_is_woken(serve: Serve, how: str) -> None:
    """Soon after the client was told the end, although it keeps its side open."""
    ended = threading.Event()

    def wait(sock: Any, begun: threading.Event) -> None:
        begun.set()
        try:
            while (
                sock.sendall(b"x" * 30_000_000)
                if how == "sendall"
                else sock.recv_into(bytearray(9))
            ):
                pass
        except OSError:
            pass
        ended.set()

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        begun = threading.Event()
        threading.Thread(target=wait, args=(sock, begun)).start()
        assert begun.wait(20)

    upgraded(serve(SocketApp(use)))
    assert ended.wait(20)


def test_it_holds_no_thread_of_the_pool(serve: Serve) -> None:
    """More of them than threads are open, and the threads still answer."""
    app = SocketApp(echo)
    served = serve(app, threads=1)
    clients = [upgraded(served) for _ in range(4)]
    pool = served.server.statistics().pool
    assert (pool.websockets, pool.websocket_threads, pool.connections) == (4, 4, 4)
    assert served.client().get()[2] == b"plain"
    for client in clients:
        client.close()
    eventually(lambda: served.server.statistics().pool.websockets == 0)
    eventually(lambda: served.server.statistics().pool.websocket_threads == 0)
    assert served.server.statistics().pool.requests == 5


def test_their_number_is_limited(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Above it there is a 503, the log names the setting, and plain requests are answered."""
    served = serve(SocketApp(echo), websocket_threads=1)
    first = upgraded(served)
    status, _, body = served.client().ask(ask("/ws"))
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert body == b"There are too many WebSockets. Try again later.\n"
    assert "websocket_threads=1 is reached" in caplog.text
    assert served.server.statistics().pool.rejected == 1
    assert served.client().get()[2] == b"plain"
    first.close()
    eventually(lambda: served.server.statistics().pool.websocket_threads == 0)
    upgraded(served)


def test_a_thread_that_is_kept_ends_the_wait_for_it(serve: Serve) -> None:
    """It may be kept for hours, so the client is told at once."""
    gate = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        gate.wait(30)
        return SocketApp(echo)(environ, start_response)

    served = serve(app, websocket_threads=1)
    first, second = served.client(), served.client()
    first.send(ask("/ws"))
    eventually(lambda: served.server.statistics().pool.websocket_threads == 1)
    second.send(ask("/ws"))
    eventually(lambda: served.server.statistics().pool.handed_off == 2)
    gate.set()
    assert first._until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    assert second._until(b"\r\n\r\n").startswith(b"HTTP/1.1 503 ")
    assert served.server.statistics().pool.rejected == 1


def test_a_system_without_threads_refuses(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a 503; the server goes on."""

    class NoThread(threading.Thread):
        def __init__(self, name: str, *args: Any) -> None:
            super().__init__()

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    served = serve(SocketApp(echo))
    with monkeypatch.context() as patched:
        patched.setattr(upgrade_threads, "BackgroundThread", NoThread)
        assert b"503" in served.client().ask(ask("/ws"))[0]
    assert "The system gives no thread: can't start new thread" in caplog.text
    upgraded(served)


@pytest.mark.parametrize("early", [b"", b"early"], ids=["duplicate", "pair"])
def test_a_request_without_descriptors_is_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, early: bytes
) -> None:
    """It has not left HTTP, so the client learns more than an end; others are served."""

    def none_left(*_: object) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    served = serve(SocketApp(echo))
    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "dup", none_left)
        patched.setattr(socket, "socketpair", none_left)
        client = served.client()
        client.send(ask("/ws") + early)
        assert client._until(b"\r\n\r\n").startswith(b"HTTP/1.1 500 ")
    upgraded(served)


def test_looking_at_it_takes_nothing(serve: Serve) -> None:
    """The addresses, the options and the type; the request is answered in HTTP."""
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        sock = environ[KEYS[0]]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seen.append((sock.getpeername(), sock.getsockname(), sock.family, sock.type, repr(sock)))
        assert not hasattr(sock, "nonsense")
        start_response("200 OK", [])
        return [b"plain"]

    client = serve(app).client()
    mine, theirs = client.sock.getsockname(), client.sock.getpeername()
    for _ in range(2):
        assert client.ask(ask("/"))[2] == b"plain"
    expected = (mine, theirs, socket.AF_INET, socket.SOCK_STREAM, "<UpgradeSocket not used>")
    assert seen == [expected] * 2


def test_a_stop_says_1001_and_waits(connect: Callable[[Any], Client]) -> None:
    """The program hears of it from its client."""
    told: list[bytes] = []

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        while data := sock.recv(100):
            told.append(data)

    app = SocketApp(use)
    client = connect(app)
    stopper = threading.Thread(target=app.served.server.stop, args=(20,))
    stopper.start()
    assert client._exactly(4) == GOING_AWAY
    client.close()
    stopper.join(20)
    assert b"".join(told) == b"early"


def test_a_stop_says_nothing_inside_a_frame(serve: Serve) -> None:
    """While the program's frame is not wholly sent, no other frame can be."""
    size = 30_000_000

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        sock.sendall(b"\x82" + b"z" * size)
        sock.recv(100)

    served = serve(SocketApp(use))
    client = upgraded(served)
    assert client._exactly(1) == b"\x82"
    stopper = threading.Thread(target=served.server.stop, args=(20,))
    stopper.start()
    duties: Any = served.server._backend._pool._duties  # type: ignore[attr-defined]
    eventually(lambda: duties.pool_state is PoolState.DRAINING)
    assert client._exactly(size) == b"z" * size
    assert client._exactly(4) == GOING_AWAY
    client.close()
    stopper.join(20)


@pytest.mark.parametrize("last", [b"\x88\x02\x03\xe8", b"not a switch"])
def test_a_stop_says_nothing_where_it_has_no_meaning(serve: Serve, last: bytes) -> None:
    """After the program's own close frame, and to a client that was not told to switch."""
    sent = threading.Event()

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED if last[0] == 0x88 else b"")
        sock.sendall(last)
        sent.set()
        sock.recv(100)

    served = serve(SocketApp(use))
    client = served.client()
    client.send(ask("/ws"))
    assert sent.wait(20)
    assert served.server.stop(0)
    assert client.rest().removeprefix(SWITCHED) == last


def test_one_that_does_not_go_is_cut_off(serve: Serve) -> None:
    """After the grace its socket is shut down, and its thread ends."""
    app = SocketApp(echo)
    served = serve(app)
    client = upgraded(served)
    assert served.server.stop(0)
    assert client.rest() in (b"", GOING_AWAY)
    assert app.ended.acquire(timeout=20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_that_was_forked_meanwhile_keeps_no_client(serve: Serve) -> None:
    """It has a copy of the descriptor, and the connection ends all the same."""
    ours, childs = os.pipe()

    def use(sock: Any) -> None:
        sock.sendall(SWITCHED)
        child = os.fork()
        if not child:
            os.close(childs)
            os.read(ours, 1)  # until the test has ended
            os._exit(0)

    served = serve(SocketApp(use))
    try:
        assert upgraded(served).rest() == b""
    finally:
        os.close(childs)
        os.wait()
        os.close(ours)


def test_the_socket_works_with_its_other_methods(connect: Callable[[Any], Client]) -> None:
    """It is like any socket: with a file, a timeout, and as a context."""

    def use(sock: Any) -> None:
        with sock:
            sock.settimeout(20)
            with sock.makefile("rwb") as file:
                file.write(SWITCHED)
                file.flush()
                file.write(file.read(5) + b"\n")
            sock.send(b"end")
            sock.shutdown(socket.SHUT_WR)

    client = connect(SocketApp(use))
    assert client.rest() == b"early\nend"


def test_the_upgrade_header_on_any_url_costs_no_answer(serve: Serve) -> None:
    """A client may ask for WebSocket wherever it likes, and gets what is there.

    Its last request holds no thread any more when the next one is begun.
    """
    client = serve(SocketApp(echo), websocket_threads=1).client()
    for _ in range(30):
        assert client.ask(ask("/"))[2] == b"plain"


GREENLETS = """
from gevent import monkey

monkey.patch_all()

import socket
from dewar.server import Server, Settings
from upgradetools import SWITCHED, ask

errors = []

def app(environ, start_response):
    sock = environ["werkzeug.socket"]
    try:
        sock.sendall(SWITCHED)
        while data := sock.recv(100):
            sock.sendall(data)
    except OSError as error:
        errors.append(str(error))
        raise
    return []

server = Server(app, Settings(bind="127.0.0.1:0", threads=1))
server.start()
host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
clients = [socket.create_connection((host, int(port))) for _ in range(3)]
for client in clients:
    client.sendall(ask("/"))
    assert client.recv(100) == SWITCHED
for client in clients:
    client.sendall(b"hello")
    assert client.recv(100) == b"hello"
assert server.statistics().pool.websocket_threads == 3
last = socket.create_connection((host, int(port)))
last.sendall(ask("/") + b"early")
assert last.recv(100).startswith(b"HTTP/1.1 500 ")
assert "Let a proxy do TLS." in errors[0]
for client in [*clients, last]:
    client.close()
assert server.stop(20)
print("ok")
"""


def test_it_works_with_greenlets_in_place_of_threads() -> None:
    """Except where the event loop would have to carry the bytes, which is an error that says so."""
    command = [sys.executable, "-c", GREENLETS]
    run = subprocess.run(
        command, cwd=TESTS, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stdout == "ok\n", run.stderr
