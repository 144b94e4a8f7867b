"""Processes that a program makes while it is served: the server's signals are not theirs."""

import signal
from pathlib import Path

import pytest

from faulttools import running

ONE, TWO = "threads=2, graceful_timeout=20", "processes=2, threads=2, graceful_timeout=20"
#: A view that makes a child, ends it by a signal at once, and answers with its status.
CHILDREN = """
import multiprocessing, subprocess, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads

# A program in the background may have begun with some of them ignored.
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

def wait(begun):
    os.write(begun, b"1")
    os.read(nothing, 1)  # until the signal comes

def ended(number, child):
    child.start()
    if number == signal.SIGINT:
        os.read(begins, 1)  # Python drops an exception of its first steps
    os.kill(child.pid, number)
    child.join(1)
    while number == signal.SIGINT and child.exitcode is None:
        # In a child that a thread forked, 3.13.0 notices a signal only in a call that waits.
        os.kill(child.pid, number)
        child.join(1)
    child.join()
    return child.exitcode

nothing, keeps = os.pipe()
begins, begun = os.pipe()

class Program:
    def start(self):
        # Says that it has begun, with what it has ignored.
        code = "import signal; print(signal.getsignal(signal.SIGUSR1), flush=True); input()"
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self.popen.pid
        assert self.popen.stdout.readline() == b"0\\n"
        os.write(begun, b"1")

    def join(self, *_):
        self.popen.communicate(timeout=20)
        self.exitcode = self.popen.returncode

def app(environ, start_response):
    kind, _, number = environ["PATH_INFO"].strip("/").partition("/")
    if kind == "fork":
        child = multiprocessing.get_context("fork").Process(target=wait, args=(begun,))
    else:
        child = Program()
    body = str(ended(int(number), child) if number else os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""
#: A handler that has a child of its own, which comes back from it.
FORKING = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
def told(number, frame):
    pid = os.fork()
    if pid:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        line(f"{number} status {status}")
        return
    %s
signal.signal(signal.SIGUSR1, told)
"""


@pytest.mark.parametrize("kind", ["fork", "program"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP", "SIGQUIT"])
@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_signal_for_a_child_is_not_the_servers(settings: str, name: str, kind: str) -> None:
    """It does to the child what it does without a server, and nothing to the server."""
    number = int(getattr(signal, name))
    with running(settings, before=CHILDREN) as server:
        # A KeyboardInterrupt: multiprocessing ends with 1 after any exception.
        expected = 1 if (name, kind) == ("SIGINT", "fork") else -number
        pid = server.ask("/pid")
        for _ in range(3):
            assert server.ask(f"/{kind}/{number}") == str(expected)
        assert settings is TWO or server.ask("/pid") == pid
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0


@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_child_has_the_handlers_of_the_program(settings: str) -> None:
    """As without a server, and its exception ends the child."""
    program = f"""{CHILDREN}
def told(number, frame):
    line(f"told {{os.getpid()}}")
    os._exit(9)
signal.signal(signal.SIGUSR1, told)
"""
    with running(settings, before=program) as server:
        assert server.ask(f"/fork/{int(signal.SIGUSR1)}") == "9"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert len([row for row in server.lines if row.startswith("told")]) == 1


@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_child_ignores_what_the_program_ignores(settings: str) -> None:
    """SIGHUP with `nohup`, though the server takes it itself."""
    program = f"""{CHILDREN}
signal.signal(signal.SIGHUP, signal.SIG_IGN)
kill = os.kill

def both(pid, number):
    kill(pid, signal.SIGHUP)
    kill(pid, number)

os.kill = both
"""
    with running(settings, before=program) as server:
        assert server.ask(f"/fork/{int(signal.SIGTERM)}") == str(-signal.SIGTERM)
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0


@pytest.mark.parametrize(
    ("does", "status"),
    [
        ("os._exit(4)", 4),
        ("sys.exit(5)", 5),
        ("sys.exit('why')", 1),
        ("raise RuntimeError('boom')", 1),
        ("pass", 0),
    ],
)
@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_child_of_a_handler_is_no_server(settings: str, does: str, status: int) -> None:
    """It ends when it comes back from the handler, and the server serves on."""
    with running(settings, before=FORKING % does) as server:
        workers = server.workers() if settings is TWO else []
        server.send(signal.SIGUSR1)
        server.wait_line(f"status {status}", 3 if settings is TWO else 1)
        assert server.ask() == "here"
        assert (server.workers() if settings is TWO else []) == workers
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0


def test_a_handler_may_replace_the_process(tmp_path: Path) -> None:
    """By `os.execv`, as programs restart themselves; the address and the pid file are free."""
    program = """
def told(number, frame):
    os.execv(sys.executable, sys.orig_argv)
signal.signal(signal.SIGUSR2, told)
"""
    settings = f'threads=2, pid_file="{tmp_path / "pid"}"'
    with running(settings, before=program) as server:
        server.send(signal.SIGUSR2)
        server.wait_line("Dewar serving", 2)
        assert server.process.poll() is None
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
