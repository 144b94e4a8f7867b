"""Starting and stopping: nothing accepted is dropped."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dewar.server import Server, Settings
from dewar.server.errors import BindError, ServerStateError, SettingsError
from openfiles import open_files
from servertools import Serve

SCRIPT = """
import signal, sys, threading
from dewar.server import run

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("begun", flush=True)
        sys.stdin.readline()
    elif environ["PATH_INFO"] == "/signal":
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    start_response("200 OK", [])
    return [b"done"]

run(app, bind="127.0.0.1:0", threads=4, name="the app")
print("ended", flush=True)
"""


def plain(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b"plain"]


def test_a_stop_answers_what_is_in_flight_and_closes_what_is_idle(serve: Serve) -> None:
    """The running request is finished and told to close; nobody new is let in."""
    entered, gate = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/slow":
            entered.set()
            gate.wait(10)
        start_response("200 OK", [])
        return [b"done"]

    served = serve(app, threads=2)
    idle, slow = served.client(), served.client()
    idle.get()
    slow.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert entered.wait(5)
    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(served.server.stop(10)))
    stopper.start()
    assert idle.is_closed()
    gate.set()
    _, fields, body = slow.answer()
    assert (fields[b"connection"], body) == (b"close", b"done")
    stopper.join(10)
    assert stopped == [True]
    assert served.server.wait_stopped(0)
    with pytest.raises(ConnectionRefusedError):
        served.client()


def test_a_request_that_is_half_sent_may_be_finished(serve: Serve) -> None:
    """It was accepted, so it is answered."""
    served = serve(plain)
    client = served.client()
    client.get()
    client.send(b"GET / HTTP/1.1\r\nHost")
    other = served.client()
    other.get()  # by now the server has seen the half
    stopper = threading.Thread(target=served.server.stop, args=(10,))
    stopper.start()
    client.send(b": x\r\n\r\n")
    assert client.answer()[2] == b"plain"
    stopper.join(10)


def test_a_handler_that_does_not_come_back_is_left_at_the_timeout(serve: Serve) -> None:
    """The stop returns, and says that it had to leave a thread behind."""
    entered, gate = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        entered.set()
        gate.wait(20)
        start_response("200 OK", [])
        return []

    served = serve(app, threads=2)
    client = served.client()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert entered.wait(5)
    assert served.server.stop(0) is False
    gate.set()


def test_a_server_starts_once_and_may_be_stopped_often() -> None:
    """A second start names the repair."""
    server = Server(plain, Settings(bind="127.0.0.1:0"))
    assert server.addresses == ()
    server.start()
    with pytest.raises(ServerStateError, match="Make a new Server"):
        server.start()
    assert server.stop(5)
    assert server.stop(5)


def test_nothing_is_left_of_a_stopped_server() -> None:
    """No thread, no descriptor."""
    before, threads = open_files(), threading.active_count()
    for _ in range(5):
        server = Server(plain, Settings(bind="127.0.0.1:0", threads=4))
        server.start()
        host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
        server.stop(5)
    assert not open_files() - before
    assert threading.active_count() == threads


def test_an_address_in_use_is_named() -> None:
    """With what to do about it."""
    server = Server(plain, Settings(bind="127.0.0.1:0"))
    server.start()
    taken = server.addresses[0].removeprefix("http://")
    with pytest.raises(BindError, match=r"in use by another program.*choose another port"):
        Server(plain, Settings(bind=taken)).start()
    server.stop(5)


@pytest.mark.parametrize(
    "bind", ["nonsense", "127.0.0.1", "127.0.0.1:x", "::1:80", "unix:", ":70000"]
)
def test_what_is_no_address_is_named(bind: str) -> None:
    """With the forms that are."""
    with pytest.raises(BindError, match=r"unix:/path"):
        Server(plain, Settings(bind=bind)).start()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, "threads=0 must be a whole number, 1 or more"),
        ({"threads": "8"}, "threads='8' must be a whole number"),
        ({"processes": 0}, "processes=0 must be a whole number, 1 or more"),
        ({"keep_alive": -1}, "keep_alive=-1 must be a number of seconds"),
        ({"max_body": -5}, "max_body=-5 must be a whole number, 0 or more"),
        ({"server_name": "a\nb"}, "must be printable"),
    ],
)
def test_a_setting_that_can_not_be_is_named(settings: dict[str, Any], message: str) -> None:
    """When it is made, not when it is used."""
    with pytest.raises(SettingsError, match=message):
        Settings(**settings)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A process that serves `SCRIPT`."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with process:
        yield process
        process.kill()


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    banner = process.stdout.readline()
    assert "the app" in banner
    assert "(4 threads)" in banner
    return int(banner.partition("http://127.0.0.1:")[2].split()[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_after_what_is_in_flight(
    number: signal.Signals, process: subprocess.Popen[str]
) -> None:
    """The banner says where it is; the request is answered; the process ends by itself."""
    port = _port_of(process)
    assert process.stdout is not None
    assert process.stdin is not None
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        _until_refused(port)
        process.stdin.write("go on\n")
        process.stdin.close()
        data = b"".join(iter(lambda: client.recv(1000), b""))
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"done")
    assert process.stdout.read().splitlines()[-1] == "ended"
    assert process.wait(10) == 0


def test_a_signal_is_heard_on_whatever_thread_it_arrives(process: subprocess.Popen[str]) -> None:
    """The system may choose any; Python's handler runs on the main one, which is asleep."""
    port = _port_of(process)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /signal HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(1000), b"")).endswith(b"done")
    assert process.wait(20) == 0


def _until_refused(port: int) -> None:
    """Connect until nobody listens any more."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass  # it closed while we came


def test_a_server_ends_while_clients_keep_coming(serve: Serve) -> None:
    """What waits to be let in is bounded: a stop is not put off by those that come meanwhile."""
    served = serve(plain, threads=4)
    over, coming = threading.Event(), threading.Barrier(5)

    def keep_coming() -> None:
        is_first = True
        while not over.is_set():
            try:
                with socket.create_connection(served.address, timeout=10) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    while client.recv(1000):
                        pass
            except OSError:
                continue
            if is_first:
                coming.wait(10)
                is_first = False

    clients = [threading.Thread(target=keep_coming, daemon=True) for _ in range(4)]
    for client in clients:
        client.start()
    coming.wait(10)
    try:
        assert served.server.stop(20)
    finally:
        over.set()
    for client in clients:
        client.join(20)
