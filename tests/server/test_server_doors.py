"""At the doors: who is too many, and who comes in the moment of the end."""

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from dewar.server import Server, Settings
from dewar.server.system.listeners import stop_listening
from dewar.server.threads.acceptor import Acceptor
from servertools import wait_in_head

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def app(environ: Any, start_response: Any) -> Any:
    """Answer."""
    start_response("200 OK", [])
    return [b"here"]


def connect(server: Server, timeout: float = 10) -> socket.socket:
    """Connect to the address of a server, TCP or UNIX."""
    scheme, _, rest = server.addresses[0].partition(":")
    if scheme == "unix":
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(timeout)
        try:
            client.connect(rest)
        except OSError:
            client.close()
            raise
        return client
    host, _, port = rest.removeprefix("//").rpartition(":")
    return socket.create_connection((host, int(port)), timeout)


@pytest.fixture(params=["tcp", "unix"])
def bind(request: Any, tmp_path: Path) -> str:
    return "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path}/s"


def test_everybody_who_is_too_many_is_told(bind: str) -> None:
    """Also a client that sends at once: closing over what it sends would reset the answer."""
    server = Server(app, Settings(bind=bind, max_connections=1))
    server.start()
    statuses: list[bytes] = []

    def come() -> None:
        with connect(server) as client:
            client.sendall(GET)
            data = b""
            while piece := client.recv(4096):
                data += piece
            statuses.append(data[:12])

    with connect(server) as first:
        first.sendall(GET[:-2])
        wait_in_head(server, 1)
        crowd = [threading.Thread(target=come) for _ in range(60)]
        for client in crowd:
            client.start()
        for client in crowd:
            client.join()
        assert statuses == [b"HTTP/1.1 503"] * 60
        first.sendall(GET[-2:])
        assert first.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert server.statistics().pool.rejected == 60
    assert server.stop()


def test_a_crowd_past_all_bounds_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait for their clients are bounded as well."""
    monkeypatch.setattr("dewar.server.threads.acceptor._MAX_EXCESS", 2)
    server = Server(app, Settings(bind="127.0.0.1:0", max_connections=1))
    server.start()
    clients = [connect(server)]
    clients[0].sendall(GET[:-2])
    wait_in_head(server, 1)
    clients += [connect(server) for _ in range(3)]
    assert clients[1].recv(4096).startswith(b"HTTP/1.1 503 ")
    assert clients[2].recv(4096).startswith(b"HTTP/1.1 503 ")
    assert clients[3].recv(4096) == b""
    for client in clients:
        client.close()
    assert server.stop()


def test_nobody_is_let_in_and_reset_in_the_moment_of_the_end(
    bind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that comes between the last accept and the closing is refused, or not answered."""
    server = Server(app, Settings(bind=bind))
    leave, came = Acceptor.leave, []

    def leave_late(acceptor: Acceptor) -> None:
        if acceptor._listeners:
            try:
                connect(server, 0.2).close()
            except OSError as error:
                came.append(type(error))
            else:
                came.append(None)
        leave(acceptor)

    monkeypatch.setattr(Acceptor, "leave", leave_late)
    server.start()
    with connect(server) as early:
        early.sendall(GET)
        assert early.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert server.stop()
    assert came in ([TimeoutError], [ConnectionRefusedError])


def test_who_waited_at_the_end_is_let_in(bind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping to listen does not send those away who are connected already."""
    server = Server(app, Settings(bind=bind))
    accept, waiting = Acceptor.accept, []
    held, stopped = threading.Event(), threading.Event()

    def accept_later(acceptor: Acceptor, fd: int, room: int) -> Any:
        return [] if held.is_set() else accept(acceptor, fd, room)

    def stop_late(listener: socket.socket) -> None:
        held.set()
        waiting.extend(connect(server) for _ in range(5))
        for client in waiting:
            client.sendall(GET)
        stop_listening(listener)
        held.clear()
        stopped.set()

    monkeypatch.setattr(Acceptor, "accept", accept_later)
    monkeypatch.setattr("dewar.server.threads.backend.stop_listening", stop_late)
    server.start()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert stopped.wait(10)
    assert len(waiting) == 5
    for client in waiting:
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.close()
    stopping.join(10)


def test_an_inherited_listener_goes_on_after_the_end() -> None:
    """It is the service manager's: the next instance serves those who come meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as kept:
        kept.settimeout(10)
        server = Server(app, Settings(bind=f"fd://{os.dup(kept.fileno())}"))
        server.start()
        with connect(server) as client:
            client.sendall(GET)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert server.stop()
        with socket.create_connection(kept.getsockname(), 10):
            kept.accept()[0].close()
