"""The signal handlers of the program beside those of the server."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from faulttools import COMMON, Running, gate, running, until_refused
from polling import eventually

#: A handler that says which signal it got, and then does what the test wants.
HANDLER = """
def told(number, frame):
    line(f"told {signal.Signals(number).name} {os.getpid()}")
    %s

for name in %r:
    signal.signal(getattr(signal, name), told)
"""
ONE, TWO = "threads=2, graceful_timeout=20", "processes=2, threads=2, graceful_timeout=20"
#: Each worker imports its app; the handlers are set there.
IN_WORKERS = "run(load=make, "
linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")


def handling(*names: str, does: str = "") -> str:
    return HANDLER % (does, names)


def loading(program: str) -> str:
    """A program that sets its handlers where its app is loaded."""
    return (
        "def make():\n" + "".join(f"    {row}\n" for row in program.splitlines()) + "    return app"
    )


@pytest.mark.parametrize(
    "name", ["SIGUSR1", "SIGUSR2", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGCHLD", "SIGWINCH"]
)
def test_a_signal_that_stops_nothing_is_handled_by_the_program(name: str) -> None:
    """Each time, without the warning that the server could do nothing; the server goes on."""
    with running(ONE, before=handling(name)) as server:
        for times in (1, 2):
            server.send(getattr(signal, name))
            server.wait_line(f"told {name} {server.pid}", times)
        assert server.ask() == "here"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert not [line for line in server.lines if "this server has none" in line]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_signal_that_stops_the_server_is_handled_by_the_program_too(
    settings: str, name: str
) -> None:
    """Once in each process that has the handler, whether it was set before the fork or not."""
    with running(settings, before=handling(name)) as server:
        server.send(getattr(signal, name))
        assert server.wait_end() == 0
        told = [line for line in server.lines if line.startswith(f"told {name}")]
        assert len(told) == len(set(told)) == (3 if settings is TWO else 1)
        assert f"told {name} {server.pid}" in told


@linux
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_workers_run_the_handlers_that_they_have_set_themselves(name: str) -> None:
    """The supervisor has none, and passes the signal on."""
    program = loading(handling(name))
    with running(TWO, before=program, call=IN_WORKERS) as server:
        pids = server.workers()
        server.send(getattr(signal, name))
        assert server.wait_end() == 0
        told = [line for line in server.lines if line.startswith("told")]
        assert sorted(told) == sorted(f"told {name} {pid}" for pid in pids)


@linux
@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2"])
def test_signals_that_stop_nothing_are_passed_on_to_workers(name: str) -> None:
    """As gunicorn does with USR1; without a handler nothing happens, also with USR2."""
    program = loading(handling(name))
    with running(TWO, before=program, call=IN_WORKERS) as server:
        pids = server.workers()
        server.send(getattr(signal, name))
        for pid in pids:
            server.wait_line(f"told {name} {pid}")
        assert server.ask() == "here"
        assert server.workers() == pids
    with running(TWO) as server:
        pids = server.workers()
        server.send(getattr(signal, name))
        server.send(signal.SIGTTIN)
        eventually(lambda: len(server.workers()) == 3)
        assert server.workers()[:2] == pids


@linux
def test_a_worker_that_is_replaced_runs_the_handler_for_sigterm() -> None:
    """It may have something to save; gunicorn ends workers by SIGTERM."""
    program = loading(handling("SIGTERM"))
    with running(TWO, before=program, call=IN_WORKERS) as server:
        pids = server.workers()
        server.send(signal.SIGHUP)
        for pid in pids:
            server.wait_line(f"told SIGTERM {pid}")
        eventually(server.without(*pids))
        assert server.ask() == "here"


#: What a handler does, the status then, and what is printed.
ENDS = [
    ("pass", 0, ""),
    ("sys.exit(0)", 0, ""),
    ("sys.exit(5)", 5, ""),
    ("sys.exit('why')", 1, "why"),
    ("raise KeyboardInterrupt", 0, ""),
    ("raise RuntimeError('boom')", 1, "RuntimeError: boom"),
]


@pytest.mark.parametrize(("does", "status", "said"), ENDS)
@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_handler_that_exits_ends_the_server_when_requests_are_answered(
    settings: str, does: str, status: int, said: str, tmp_path: Path
) -> None:
    """As under gunicorn; the status is the program's, and an error is shown."""
    program = handling("SIGTERM", does=does)
    with running(settings, before=program) as server, gate(tmp_path) as (path, release):
        client = server.client()
        client.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        server.wait_line("held")
        server.send(signal.SIGTERM)
        server.wait_line("told SIGTERM", 3 if settings is TWO else 1)
        until_refused(server.address)
        release()
        assert client.answer()[2] == b"released"
        assert server.wait_end() == status
        server.wait_line(said)


@pytest.mark.parametrize("settings", [ONE, TWO])
@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGALRM"])
def test_a_handler_of_another_signal_that_exits_ends_the_server_too(
    settings: str, name: str, tmp_path: Path
) -> None:
    """Also of one that the server does not know; requests in flight are answered."""
    program = handling(name, does="sys.exit(7)")
    with running(settings, before=program) as server, gate(tmp_path) as (path, release):
        client = server.client()
        client.send(f"GET /hold?{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        server.wait_line("held")
        server.send(getattr(signal, name))
        until_refused(server.address)
        release()
        assert client.answer()[2] == b"released"
        assert server.wait_end() == 7


@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_handler_may_interrupt_another(settings: str, tmp_path: Path) -> None:
    """As an alarm does, or a second signal: Python nests handlers."""
    with gate(tmp_path) as (path, _):
        program = f"""
def told(number, frame):
    if number == signal.SIGTERM:
        line("told SIGTERM")
        open({path!r}, 'rb', 0).read()
    sys.exit(6)
for name in ("SIGTERM", "SIGALRM"):
    signal.signal(getattr(signal, name), told)
"""
        with running(settings, before=program) as server:
            server.send(signal.SIGTERM)
            server.wait_line("told SIGTERM", 3 if settings is TWO else 1)
            while server.process.poll() is None:
                # Again: a signal just before a call that blocks does not interrupt it.
                for pid in (*(server.workers() if settings is TWO else ()), server.pid):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGALRM)
                with suppress(subprocess.TimeoutExpired):
                    server.process.wait(2)
            assert server.wait_end() == 6


def test_a_handler_that_ends_the_process_does_so() -> None:
    """By `os._exit`, at once."""
    with running(ONE, before=handling("SIGTERM", does="os._exit(9)")) as server:
        server.send(signal.SIGTERM)
        assert server.wait_end() == 9


@linux
@pytest.mark.parametrize("does", ["sys.exit(5)", "raise RuntimeError('boom')"])
def test_a_worker_whose_handler_exits_is_replaced(does: str) -> None:
    """As gunicorn does."""
    program = loading(handling("SIGUSR1", does=does))
    with running(TWO, before=program, call=IN_WORKERS) as server:
        first, *_ = pids = server.workers()
        os.kill(first, signal.SIGUSR1)
        eventually(server.without(first))
        eventually(lambda: len(server.workers()) == 2)
        assert server.ask() == "here"
        assert pids[1] in server.workers()
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0


@pytest.mark.parametrize("settings", ["threads=2", "processes=2, threads=2"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_handler_that_does_not_return_holds_no_stop_up(
    settings: str, name: str, tmp_path: Path
) -> None:
    """The server stops beside it, and the process ends when the time of a stop is over."""
    with gate(tmp_path) as (path, _):
        program = handling(name, does=f"open({path!r}, 'rb', 0).read()")
        with running(f"{settings}, graceful_timeout=1", before=program) as server:
            server.send(getattr(signal, name))
            server.wait_line("told")
            server.send(signal.SIGTERM)
            assert server.wait_end() == 0
            until_refused(server.address)


def test_a_second_signal_ends_a_handler_that_does_not_return(tmp_path: Path) -> None:
    """Whatever time a stop may take."""
    with gate(tmp_path) as (path, _):
        program = handling("SIGTERM", does=f"open({path!r}, 'rb', 0).read()")
        with running("threads=2, graceful_timeout=600", before=program) as server:
            server.send(signal.SIGTERM)
            server.wait_line("told")
            until_refused(server.address)
            server.send(signal.SIGTERM)
            assert server.wait_end() == 0
            server.wait_line("for a signal handler of the program")


def test_a_handler_that_is_set_while_the_server_runs_is_called() -> None:
    """And stays: what the server has set is taken away, what the program has set is not."""
    program = f"""
before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)
{handling("SIGTERM")}
def later(number, frame):
    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGTTIN, told)
    line("set")
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGUSR1, later)
import atexit
def show():
    now = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP)
    names = ("SIGTERM", "SIGTTIN", "SIGUSR1")
    kept = [signal.getsignal(getattr(signal, name)).__name__ for name in names]
    line(f"after {{now == before}} {{kept}}")
atexit.register(show)
"""
    with running(ONE, before=program) as server:
        server.send(signal.SIGUSR1)
        server.wait_line("set")
        server.send(signal.SIGTTIN)
        server.wait_line("told SIGTTIN")
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        server.wait_line("told SIGTERM")
        server.wait_line("after True ['told', 'told', 'later']")


@pytest.mark.parametrize("settings", [ONE, TWO])
def test_handlers_of_an_event_loop_are_called(settings: str) -> None:
    """Each loop of asyncio has a wake-up descriptor of its own, which gets what it would get."""
    program = """
import asyncio
loop = asyncio.new_event_loop()
for name in ("SIGTERM", "SIGUSR1"):
    loop.add_signal_handler(getattr(signal, name), line, f"told {name}")
threading.Thread(target=loop.run_forever, daemon=True).start()
"""
    with running(settings, before=program) as server:
        server.send(signal.SIGUSR1)
        server.wait_line("told SIGUSR1")
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        server.wait_line("told SIGTERM")


#: Writes where the main thread of the process that answers is. Not where all threads are, the
#: default: faulthandler reads their stacks while they run, and that may end any process. And not by
#: a signal for the process: while the main thread starts another one, the system may give it to
#: the new one, of which Python knows nothing yet, and nothing is written.
STACKS = """
import faulthandler
faulthandler.register(signal.SIGUSR1, all_threads=False)
answer = app

def app(environ, start_response):
    if environ["PATH_INFO"] == "/stacks":
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    return answer(environ, start_response)
"""


@linux
@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_signal_of_faulthandler_stays_its_own(settings: str) -> None:
    """It writes a stack, as without a server, also in the supervisor, which has one thread."""
    with running(settings, before=STACKS) as server:
        assert server.ask("/stacks") == "here"
        server.wait_line("most recent call first")
        if settings is TWO:
            server.send(signal.SIGUSR1)
            server.wait_line("most recent call first", 2)
        assert server.ask() == "here"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0


#: Says when it loads, and goes on when the test's gate is open, or never.
LOADS = """
def make():
    %s
    line(f"loading {os.getpid()}")
    %s
    return app
"""


@linux
@pytest.mark.parametrize("to", ["server", "group", "worker"])
def test_a_handler_that_exits_while_the_program_loads_is_no_failure(to: str) -> None:
    """A stop finds workers that load; their handlers end them, and nobody has made a mistake."""
    handler = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
    script = f"{COMMON}{LOADS % (handler, 'threading.Event().wait()')}"
    server = Running(f'{script}run(load=make, bind="127.0.0.1:0", {TWO})\n')
    try:
        server.wait_line("loading", 2)
        pids = [int(line.split()[1]) for line in server.lines if line.startswith("loading")]
        for pid in {"server": [server.pid], "group": [server.pid, *pids], "worker": pids}[to]:
            with suppress(ProcessLookupError):  # the first one may have ended the others
                os.kill(pid, signal.SIGTERM)
        assert server.wait_end() == (3 if to == "worker" else 0)
        text = "\n".join(server.lines)
        assert "cannot be loaded" not in text
        # The handler may raise where a socket has been made and nobody has it yet.
        assert "Traceback" not in text or "ResourceWarning" in text, text
        assert to != "worker" or "ended with status 0 while it loaded the application" in text
    finally:
        server.close()


@linux
def test_a_program_that_exits_by_itself_while_it_loads_has_failed() -> None:
    """As one that raises an error."""
    script = f"{COMMON}{LOADS % ('pass', 'sys.exit(0)')}"
    server = Running(f'{script}run(load=make, bind="127.0.0.1:0", {TWO})\n')
    try:
        assert server.wait_end() == 3
        assert "The application cannot be loaded: SystemExit: 0" in "\n".join(server.lines)
    finally:
        server.close()
