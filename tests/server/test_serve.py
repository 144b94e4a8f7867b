"""``run()``: what it prints, what its signals mean, what it leaves behind."""

import os
import pty
import signal
import socket
import sys
from pathlib import Path

import pytest

from dewar.server import run
from dewar.server.errors import SettingsError
from faulttools import COMMON, Running, gate, running, until_refused
from polling import eventually

linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")
TWO = "processes=2, threads=4"


def test_the_banner_says_how_it_works() -> None:
    """One line, when all serve."""
    with running(TWO) as server:
        banner = (
            f"Dewar serving the app on http://127.0.0.1:{server.port} (2 processes x 4 threads)"
        )
        assert server.wait_line("Dewar serving") == f"{banner} - Ctrl+C stops"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert len([line for line in server.lines if "Dewar serving" in line]) == 1


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGHUP, "SIGHUP restarts workers.*processes=2"),
        (signal.SIGTTIN, "SIGTTIN adds a worker process"),
        (signal.SIGTTOU, "SIGTTOU takes a worker process away"),
    ],
)
def test_one_process_answers_what_it_can_not_do(number: signal.Signals, message: str) -> None:
    """It says what to do instead, and serves on."""
    with running("threads=2") as server:
        server.send(number)
        server.wait_line(message.partition(".*")[0])
        assert server.ask() == "here"
        server.send(signal.SIGUSR1)
        assert server.ask() == "here"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0


@pytest.mark.parametrize("signals", [[signal.SIGQUIT], [signal.SIGTERM, signal.SIGTERM]])
def test_one_process_ends_at_once_where_it_is_told_so(
    signals: list[signal.Signals], tmp_path: Path
) -> None:
    """By QUIT, or by a second signal."""
    with running("threads=2, graceful_timeout=600") as server, gate(tmp_path) as (path, _):
        client = server.client()
        client.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        server.wait_line("held")
        for number in signals:
            server.send(number)
            until_refused(server.address)
        assert server.wait_end() == 0
        assert client.is_closed()
        assert "app at " in server.wait_line("Left inside the application: dewar-")


@pytest.mark.parametrize("settings", ["threads=2", TWO])
def test_the_pid_file_names_the_process_that_takes_signals(settings: str, tmp_path: Path) -> None:
    """While it lives; a second server by the same file is refused."""
    path = tmp_path / "server.pid"
    with running(f"{settings}, pid_file={str(path)!r}") as server:
        assert path.read_text() == f"{server.pid}\n"
        other = Running(f'{COMMON}\nrun(app, bind="127.0.0.1:0", pid_file={str(path)!r})')
        assert other.wait_end() == 1
        other.wait_line(f"Process {server.pid} runs already")
        other.close()
        assert path.read_text() == f"{server.pid}\n"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert not path.exists()


@linux
@pytest.mark.parametrize("settings", ["threads=2", TWO])
def test_sockets_are_taken_and_the_manager_is_told(settings: str, tmp_path: Path) -> None:
    """As systemd has it: the socket outlives the server."""
    script = f"""{COMMON}
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), WATCHDOG_USEC="400000")
os.environ["NOTIFY_SOCKET"] = sys.argv[2]
run(app, bind="systemd", name="the app", {settings})
"""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        fd = listener.fileno()
        server = Running(script, str(fd), str(tmp_path / "notify"), pass_fds=[fd])
        try:
            told = ""
            while "READY=1" not in told or "WATCHDOG=1" not in told:
                told += manager.recv(4096).decode() + "\n"
            assert f"MAINPID={server.pid}" in told
            server.wait_ready()
            assert server.port == listener.getsockname()[1]
            assert server.ask() == "here"
            if settings == TWO:
                told = ""
                server.send(signal.SIGHUP)
                while "READY=1" not in told:
                    told += manager.recv(4096).decode() + "\n"
                assert "RELOADING=1\nMONOTONIC_USEC=" in told
            server.send(signal.SIGTERM)
            while "STOPPING=1" not in manager.recv(4096).decode():
                pass
            assert server.wait_end() == 0
            # It was not ours to close: who comes now waits for the next server.
            socket.create_connection(listener.getsockname(), timeout=5).close()
        finally:
            server.close()


@linux
def test_processes_are_named_by_what_they_do() -> None:
    """In the place of the command line with setproctitle, else in the 15 bytes of Linux."""
    with running(TWO) as server:
        for pid, title in zip(
            [server.pid, *server.workers()],
            ["dewar: supervisor [the app]", *[f"dewar: worker {n} [the app]" for n in (1, 2)]],
            strict=True,
        ):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
            name = Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
            assert command == title or name == title[:15]


def test_an_app_or_what_loads_it() -> None:
    """One of the two."""
    with pytest.raises(SettingsError, match="either an app or load="):
        run()
    with pytest.raises(SettingsError, match="not both"):
        run(lambda e, s: [], load=lambda: lambda e, s: [])


def test_a_loader_is_called_in_one_process_too() -> None:
    """Before it listens."""
    with running("threads=2", "", "run(load=lambda: app, ") as server:
        assert server.ask("/pid") == str(server.pid)


def test_no_thread_is_there_when_a_worker_is_forked() -> None:
    """From Python 3.12 on that would be a warning, and warnings are errors here."""
    with running(f"{TWO}, max_requests=20") as server:
        first = {server.ask("/pid") for _ in range(8)}
        for _ in range(60):
            server.ask()
        eventually(lambda: server.ask("/pid") not in first)
        if sys.platform == "linux":
            assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1


@linux
@pytest.mark.parametrize("settings", ["threads=2", TWO])
@pytest.mark.parametrize("nohup", [False, True])
def test_the_end_of_its_terminal_ends_the_server(settings: str, nohup: bool) -> None:
    """As any program that was started there, unless it was told to outlive it."""
    script = f"""{COMMON}
terminal = os.open(sys.argv[1], os.O_RDWR)  # the first one of a session's leader controls it
if {nohup}:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
run(app, bind="127.0.0.1:0", name="the app", {settings})
"""
    ours, theirs = pty.openpty()
    server = Running(script, os.ttyname(theirs))
    try:
        server.wait_ready()
        server.send(signal.SIGHUP)  # by somebody
        assert server.ask() == "here"
        os.close(theirs)
        os.close(ours)
        if nohup:
            assert server.ask() == "here"
            server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert server.lines[-1] == "Dewar stopped."
    finally:
        server.close()


@pytest.mark.parametrize("settings", ["threads=2", TWO])
def test_a_server_without_stderr_answers(settings: str) -> None:
    """Also what an application writes there: to the stream, and to ``wsgi.errors``."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = f"""{COMMON}
def loud(environ, start_response):
    print("loud", file=environ["wsgi.errors"], flush=True)
    sys.stderr.write("loud")
    return app(environ, start_response)
run(loud, bind="127.0.0.1:{port}", {settings})
"""

    def listens() -> bool:
        with socket.socket() as probe:
            return not probe.connect_ex(("127.0.0.1", port))

    server = Running(script, preexec_fn=lambda: os.close(2))
    try:
        server.port = port
        eventually(listens)
        assert server.ask() == "here"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
    finally:
        server.close()
