"""The hooks of a server: in which process, in which order, and what one that raises does."""

import os
import signal
import sys

import pytest

from faulttools import COMMON, Running, running
from polling import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")

#: Hooks that print their name and whether they are called in the supervisor, and may then raise.
HOOKS = """
from dewar.server.processes.hooks import ServerHooks

SUPERVISOR = os.getpid()

def told(name):
    def hook(self, *arguments):
        where = "supervisor" if os.getpid() == SUPERVISOR else "worker"
        shown = [a for a in arguments if isinstance(a, int) and a < 100]
        line(f"hook {name} {where} {shown}")
        if name in sys.argv[1:]:
            raise RuntimeError(f"hostile {name}")
    return hook

names = [name for name in vars(ServerHooks) if not name.startswith("_")]
Told = type("Told", (ServerHooks,), {name: told(name) for name in names})
"""

ONE = "processes=1, threads=2, graceful_timeout=20, hooks=Told()"
LOAD = "run(load=lambda: app, "


def hooks_of(server: Running) -> list[str]:
    """Return what the hooks have printed."""
    return [line.removeprefix("hook ") for line in server.lines if line.startswith("hook ")]


def hostile(name: str) -> Running:
    """Start a server with a hook that raises."""
    script = f'{COMMON}{HOOKS}\n{LOAD}bind="127.0.0.1:0", {ONE})'
    return Running(script, name)


def test_a_start_and_a_stop_call_their_hooks_in_order() -> None:
    """With one worker too: the hooks of a worker are never called in the supervisor."""
    with running(ONE, HOOKS, LOAD) as server:
        assert server.ask() == "here"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
    in_supervisor = [line for line in hooks_of(server) if "supervisor" in line]
    in_worker = [line for line in hooks_of(server) if "worker [" in line]
    assert in_supervisor == [
        "starting supervisor [1]",
        "forking supervisor [1]",
        "forked supervisor [1]",
        "worker_gone supervisor [1]",
        "ended supervisor []",
    ]
    assert in_worker == [
        "worker_started worker [1]",
        "worker_ready worker []",
        "worker_ending worker []",
    ]


def test_a_reload_and_a_change_of_the_number_call_theirs() -> None:
    """A reload once, though it replaces every worker; a refused change none."""
    with running(ONE, HOOKS, LOAD) as server:
        server.send(signal.SIGTTOU)
        server.wait_line("the last worker stays")
        server.send(signal.SIGTTIN)
        server.wait_line("hook scaled supervisor [2]")
        eventually(lambda: len(server.workers()) == 2)
        server.send(signal.SIGHUP)
        server.wait_line("hook worker_gone", 2)
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
    lines = hooks_of(server)
    assert lines.count("reloading supervisor []") == 1
    assert [line for line in lines if line.startswith("scaled")] == ["scaled supervisor [2]"]


def test_a_worker_that_is_interrupted_or_ended_at_once_calls_its_hook() -> None:
    """SIGINT reaches the whole group of a terminal; SIGQUIT ends a worker at once."""
    with running(ONE, HOOKS, LOAD) as server:
        (pid,) = server.workers()
        os.kill(pid, signal.SIGINT)
        server.wait_line("hook worker_interrupted worker")
        os.kill(pid, signal.SIGQUIT)
        server.wait_line("hook worker_interrupted worker", 2)
        server.wait_line("hook worker_gone")


@pytest.mark.parametrize("name", ["starting", "forking", "forked", "ended"])
def test_a_hook_that_raises_in_the_supervisor_ends_the_server(name: str) -> None:
    """With a status that says so, and with no worker left."""
    server = hostile(name)
    try:
        if name == "ended":
            server.wait_ready()
            server.send(signal.SIGTERM)
        assert server.wait_end() == 1
        assert f"RuntimeError: hostile {name}" in server.lines
    finally:
        server.close()


@pytest.mark.parametrize("name", ["worker_started", "worker_ready"])
def test_a_hook_that_raises_in_a_new_worker_fails_the_start(name: str) -> None:
    """As an app does that cannot be loaded."""
    server = hostile(name)
    try:
        assert server.wait_end() == 3
        assert any(f"RuntimeError: hostile {name}" in line for line in server.lines)
    finally:
        server.close()


def test_a_hook_that_raises_in_a_worker_that_ends_is_logged() -> None:
    """It ends in any case, and what is in flight has been answered."""
    server = hostile("worker_ending")
    try:
        server.wait_ready()
        assert server.ask() == "here"
        server.send(signal.SIGTERM)
        assert server.wait_end() == 0
        assert "RuntimeError: hostile worker_ending" in server.lines
    finally:
        server.close()
