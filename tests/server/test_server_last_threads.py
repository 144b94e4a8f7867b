"""What an application has started is finished before its process ends, for a limited time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faulttools import COMMON, Running, gate, is_alive, running, until_refused
from polling import eventually

linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")

#: A path is how a thread is started; a query names the gate that it waits for.
APP = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context as context
from dewar.loop.process_loop import process_loop
from dewar.loop.call_queue import CallQueue

executor, calls = ThreadPoolExecutor(2), CallQueue("calls")
MODE = "none"

def mail(gate):
    line(f"held {os.getpid()}")
    with open(gate, "rb", 0) as file:
        file.read()
    line(f"sent {os.getpid()}")

def thread(gate):
    threading.Thread(target=mail, args=(gate,), name="mailer").start()

async def to_thread(gate):
    asyncio.get_running_loop().run_in_executor(None, mail, gate)

async def from_loop(gate):
    thread(gate)

starts = {
    "/thread": thread,
    "/timer": lambda gate: threading.Timer(0, mail, [gate]).start(),
    "/thread-of-thread": lambda gate: threading.Thread(target=thread, args=(gate,)).start(),
    "/executor": lambda gate: executor.submit(mail, gate),
    "/loop": lambda gate: process_loop.run(lambda: from_loop(gate), context()),
    "/to-thread": lambda gate: process_loop.run(lambda: to_thread(gate), context()),
    "/queue": lambda gate: calls.call_soon(thread, gate),
    "/daemon": lambda gate: threading.Thread(target=mail, args=(gate,), daemon=True).start(),
}


plain = app

def app(environ, start_response):
    if environ["PATH_INFO"] == "/stop":
        environ["dewar.stop"]()
    start = starts.get(environ["PATH_INFO"])
    if start is not None:
        start(environ["QUERY_STRING"])
    return plain(environ, start_response)
"""
ONE, TWO = "threads=4", "processes=2, threads=2"


def begin(server: Running, path: str, start: str = "/thread") -> int:
    """Have a view start a thread; return the process that it runs in."""
    assert server.ask(f"{start}?{path}") == "here"
    return int(server.wait_line("held").split()[1])


@pytest.mark.parametrize("settings", [ONE, "threads=1", TWO])
def test_a_thread_of_a_view_is_finished_when_the_server_stops(
    settings: str, tmp_path: Path
) -> None:
    """Nobody is accepted any more, and the process ends only after the thread."""
    with running(settings, APP) as server, gate(tmp_path) as (path, release):
        pid = begin(server, path)
        server.send(signal.SIGTERM)
        until_refused(server.address)
        release()
        assert server.wait_end() == 0
        assert f"sent {pid}" in server.lines


def test_so_is_a_thread_that_is_started_in_another_way(tmp_path: Path) -> None:
    """By an executor, by the loop's thread, by another thread of ours or of the application."""
    ways = ["/timer", "/thread-of-thread", "/executor", "/loop", "/to-thread", "/queue"]
    with running(ONE, APP) as server, gate(tmp_path) as (path, release):
        for way in ways:
            server.ask(f"{way}?{path}")
        server.wait_line("held", len(ways))
        server.send(signal.SIGTERM)
        until_refused(server.address)
        release()
        assert server.wait_end() == 0
        assert server.lines.count(f"sent {server.pid}") == len(ways)


def test_a_stop_by_the_application_waits_too(tmp_path: Path) -> None:
    """``environ["dewar.stop"]`` is a stop like any other."""
    with running(TWO, APP) as server, gate(tmp_path) as (path, release):
        pid = begin(server, path)
        server.ask("/stop")
        until_refused(server.address)
        release()
        assert server.wait_end() == 0
        assert f"sent {pid}" in server.lines


@linux
@pytest.mark.parametrize("how", ["reload", "max_requests"])
def test_a_worker_that_is_replaced_waits_while_its_successor_serves(
    how: str, tmp_path: Path
) -> None:
    """After SIGHUP, and after its number of requests. SIGTERM to all processes does not end it."""
    settings = "processes=1, max_requests=1000" if how == "reload" else "max_requests=1"
    with running(settings, APP) as server, gate(tmp_path) as (path, release):
        old = begin(server, path)
        if how == "reload":
            server.send(signal.SIGHUP)
        eventually(lambda: server.ask("/pid") != str(old))
        server.wait_line("waits up to")
        os.kill(old, signal.SIGTERM)
        assert server.ask("/pid") != str(old)
        release()
        server.wait_line(f"sent {old}")
        eventually(lambda: not is_alive(old))


@pytest.mark.parametrize("settings", [ONE, TWO])
def test_a_thread_that_never_ends_is_left_after_the_grace_and_named(
    settings: str, tmp_path: Path
) -> None:
    """With its name and its place; the status is that of any stop."""
    with (
        running(f"{settings}, graceful_timeout=1.2", APP) as server,
        gate(tmp_path) as (path, _),
    ):
        pid = begin(server, path)
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        said = server.wait_line("ends without")
        assert f"Process {pid} has waited" in said
        assert "mailer (mail at <string>:" in said


@pytest.mark.parametrize(("settings", "number"), [(ONE, signal.SIGQUIT), (TWO, signal.SIGTERM)])
def test_a_second_signal_cuts_the_wait_short(
    settings: str, number: signal.Signals, tmp_path: Path
) -> None:
    """As it does for requests."""
    with (
        running(f"{settings}, graceful_timeout=600", APP) as server,
        gate(tmp_path) as (path, _),
    ):
        begin(server, path)
        server.send(signal.SIGTERM)
        until_refused(server.address)
        server.send(number)
        assert server.wait_end() == 0
        server.wait_line("ends without mailer")


def test_a_daemon_of_the_application_is_not_waited_for(tmp_path: Path) -> None:
    """The application has said so. Idle threads of executors do not delay a stop either."""
    with (
        running(f"{ONE}, graceful_timeout=600", APP) as server,
        gate(tmp_path) as (path, _),
    ):
        begin(server, path, "/daemon")
        server.ask("/executor?/dev/null")
        server.wait_line("sent")
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert not any("ends without" in line for line in server.lines)


def test_a_program_goes_on_after_run_and_may_end_its_own_threads() -> None:
    """Only the interpreter's exit waits, not ``run()``."""
    script = f"""{COMMON}{APP}
over = threading.Event()
threading.Thread(target=over.wait).start()
run(app, bind="127.0.0.1:0", name="the app", graceful_timeout=600)
over.set()
line("after run")
sys.exit(7)
"""
    server = Running(script)
    try:
        server.wait_ready()
        server.send(signal.SIGTERM)
        assert server.wait_end() == 7
        assert "after run" in server.lines
    finally:
        server.close()


def test_a_server_in_a_daemon_thread_does_not_keep_a_program_alive(tmp_path: Path) -> None:
    """What it starts there inherits the daemon that it is, as in Python."""
    script = f"""{COMMON}{APP}
serve = lambda: run(app, bind="127.0.0.1:0", name="the app", graceful_timeout=600)
threading.Thread(target=serve, daemon=True).start()
sys.stdin.read()
"""
    with gate(tmp_path) as (path, _):
        server = Running(script, stdin=subprocess.PIPE)
        try:
            server.wait_ready()
            begin(server, path)
            assert server.process.stdin is not None
            server.process.stdin.close()
            assert server.wait_end() == 0
        finally:
            server.close()


def test_a_worker_that_can_not_load_its_application_ends_in_spite_of_its_threads() -> None:
    """What it has started before the error is not waited for."""
    script = f"""{COMMON}
def load():
    threading.Thread(target=threading.Event().wait, name="endless").start()
    raise ValueError("no such app")
run(load=load, bind="127.0.0.1:0", {TWO}, graceful_timeout=600)
"""
    server = Running(script)
    try:
        assert server.wait_end() == 3
        server.wait_line("ends without endless")
    finally:
        server.close()
