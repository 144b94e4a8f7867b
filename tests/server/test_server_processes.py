"""A server with processes as a part of a program."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dewar.server import Server, Settings
from dewar.server.errors import BindError, ServerStateError, SettingsError, StartError
from dewar.server.processes.app_source import AppSource
from faulttools import is_alive
from openfiles import open_files
from polling import eventually
from servertools import Client


def app(environ: Any, start_response: Any) -> Any:
    """Tell which process answers; hold ``/hold`` until its gate is closed."""
    if environ["PATH_INFO"] == "/hold":
        Path(environ["QUERY_STRING"]).read_bytes()
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with two processes that is stopped at the end."""
    server = Server(app, Settings(bind="127.0.0.1:0", processes=2, threads=4))
    yield server
    server.stop(0)


def client_of(server: Server) -> Client:
    """Connect."""
    host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
    return Client((host, int(port)))


def test_it_starts_serves_and_stops(server: Server) -> None:
    """Its processes are others than this one, and nothing is left of them."""
    before = open_files()
    server.start()
    client = client_of(server)
    pid = int(client.get()[2])
    client.close()
    workers = {worker.pid for worker in server.statistics().workers}
    assert pid in workers
    assert len(workers) == 2
    assert os.getpid() not in workers
    assert server.stop(10)
    assert server.wait_stopped(0)
    assert not any(map(is_alive, workers))
    with pytest.raises(ConnectionRefusedError):
        client_of(server)
    assert not open_files() - before


def test_its_statistics_are_of_all_workers(server: Server) -> None:
    """Each with its own, and the sums, which do not fall when a worker ends."""
    server.start()
    clients = [client_of(server) for _ in range(8)]
    for client in clients:
        client.get()
    eventually(lambda: server.statistics().pool.requests == 8)
    statistics = server.statistics()
    assert [worker.number for worker in statistics.workers] == [1, 2]
    assert {worker.state for worker in statistics.workers} == {"SERVING"}
    assert {worker.generation for worker in statistics.workers} == {1}
    assert sum(worker.pool.requests for worker in statistics.workers) == 8
    assert statistics.pool.connections == 8
    assert statistics.as_dict()["worker_failures"] == 0
    os.kill(statistics.workers[0].pid, signal.SIGKILL)
    eventually(lambda: server.statistics().worker_failures == 1)
    eventually(lambda: [w.state for w in server.statistics().workers] == ["SERVING"] * 2)
    assert server.statistics().pool.requests == 8
    for client in clients:
        client.close()


def test_a_stop_waits_for_what_is_in_flight(server: Server, tmp_path: Path) -> None:
    """And any thread may ask for it, more than once."""
    os.mkfifo(tmp_path / "gate")
    server.start()
    client = client_of(server)
    client.send(f"GET /hold?{tmp_path / 'gate'} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    gate = (tmp_path / "gate").open("wb")  # comes back when the app has opened it too
    stopped: list[bool] = []
    stoppers = [threading.Thread(target=lambda: stopped.append(server.stop(20))) for _ in range(2)]
    for stopper in stoppers:
        stopper.start()
    eventually(lambda: _is_refused(server))
    gate.close()
    _, fields, body = client.answer()
    assert fields[b"connection"] == b"close"
    assert body.isdigit()
    for stopper in stoppers:
        stopper.join(20)
    assert stopped == [True, True]
    client.close()


def _is_refused(server: Server) -> bool:
    try:
        client_of(server).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def test_a_second_stop_cuts_the_first_one_short(server: Server, tmp_path: Path) -> None:
    """What is in the app then is lost."""
    os.mkfifo(tmp_path / "gate")
    server.start()
    client = client_of(server)
    client.send(f"GET /hold?{tmp_path / 'gate'} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    with (tmp_path / "gate").open("wb"):
        patient = threading.Thread(target=server.stop, args=(60,))
        patient.start()
        eventually(lambda: _is_refused(server))
        server.stop(0)
        patient.join(20)
        assert not patient.is_alive()
        assert client.is_closed()
    client.close()


def test_the_supervisor_ends_with_its_program() -> None:
    """However that ends."""
    script = """
import os, sys
from dewar.server import Server, Settings
server = Server(lambda e, s: [], Settings(bind="127.0.0.1:0", processes=2))
server.start()
print(*[worker.pid for worker in server.statistics().workers], flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        workers = [int(pid) for pid in program.stdout.readline().split()]
        assert len(workers) == 2
        program.kill()
        eventually(lambda: not any(map(is_alive, workers)))


def test_an_address_in_use_is_named_before_anything_is_forked(server: Server) -> None:
    """As with threads."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        other = Server(app, Settings(bind=bind, processes=2))
        with pytest.raises(BindError, match="in use by another program"):
            other.start()
        assert other.stop()


def test_it_starts_once(server: Server) -> None:
    """Another start names the repair; nothing is counted before the first."""
    with pytest.raises(ServerStateError, match="before start"):
        server.statistics()
    server.start()
    with pytest.raises(ServerStateError, match="Make a new Server"):
        server.start()
    assert "2 SERVING" not in repr(server)  # the policy is the supervisor's


def test_workers_that_can_not_begin_are_an_error_of_the_start(tmp_path: Path) -> None:
    """It says why, and nothing is left of them."""
    path = tmp_path / "web.sock"
    server = Server(app, Settings(bind=f"unix:{path}", processes=2))
    source = AppSource(name="broken", load=lambda: 1 / 0, is_loaded=False)  # type: ignore[arg-type, return-value]
    server._backend._source = source  # type: ignore[attr-defined]
    with pytest.raises(StartError, match="ZeroDivisionError"):
        server.start()
    assert not path.exists()
    assert server.stop()


def test_the_file_of_a_unix_socket_goes_with_the_whole_server(tmp_path: Path) -> None:
    """Not with a worker; and its permissions are as they were asked for."""
    path = tmp_path / "web.sock"
    server = Server(app, Settings(bind=f"unix:{path}", processes=2, unix_mode="600"))
    server.start()
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        victim = server.statistics().workers[0].pid
        os.kill(victim, signal.SIGTERM)
        eventually(lambda: not is_alive(victim))
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    finally:
        assert server.stop(10)
    assert not path.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"processes": 2}, r"processes=2 needs a system that can fork.*processes=1"),
        ({"max_requests": 5}, r"max_requests=5 needs a system that can fork.*max_requests=0"),
    ],
)
def test_without_fork_processes_are_refused(
    settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows; threads work there."""
    monkeypatch.delattr(os, "fork")
    with pytest.raises(SettingsError, match=message):
        Settings(**settings)
    assert Settings(threads=8).threads == 8


def test_what_windows_has_not_is_not_needed_to_import_the_server() -> None:
    """Neither fork nor its signals."""
    script = """
import os, signal, socket
for module, names in [
    (os, "fork register_at_fork getppid"),
    (signal, "SIGHUP SIGQUIT SIGTTIN SIGTTOU SIGUSR1 SIGCHLD SIGKILL pthread_sigmask pthread_kill"),
]:
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
from dewar.server import Server, Settings
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"here"]
server = Server(app, Settings(bind="127.0.0.1:0", threads=4))
server.start()
host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
with socket.create_connection((host, int(port))) as client:
    client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
assert server.stop(5)
try:
    Settings(processes=2)
except ValueError as error:
    assert "can fork" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.returncode == 0
