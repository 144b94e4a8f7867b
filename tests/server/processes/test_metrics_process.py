"""A process beside the workers that shows what they do."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from faulttools import COMMON, Running, is_alive, until_refused
from polling import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")

SCRIPT = (
    COMMON
    + """
import socket
from dewar.server.serve_processes import ConsoleStatus
from dewar.server.startup_lines import banner
from dewar.server.system.listeners import bind_listeners, url_of
from dewar.server.processes.supervisor_links import SupervisorLinks
from dewar.server.processes.app_source import preloaded
from dewar.server.processes.scoreboard import make_scoreboard
from dewar.server.processes.supervisor import Supervisor
from dewar.server.settings.settings import Settings

class Endpoint:
    def __init__(self, statistics, families):
        self.statistics = statistics
    def start(self):
        if sys.argv[2] == "broken":
            raise OSError("no such address")
        self.sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
        threading.Thread(target=self.serve, daemon=True).start()
    def serve(self):
        while True:
            client, _ = self.sock.accept()
            numbers = {n: pool.requests for n, pool in self.statistics().items()}
            client.sendall(f"{os.getpid()} {sorted(numbers)} {sum(numbers.values())}".encode())
            client.close()
    def stop(self):
        line("the endpoint has ended")

settings = Settings(bind="127.0.0.1:0", processes=2, threads=2)
listeners = bind_listeners(settings.bind)
console = ConsoleStatus(banner("the app", tuple(map(url_of, listeners)), settings))
links = SupervisorLinks(status_listener=console, endpoint=Endpoint)
board = make_scoreboard(settings.processes)
sys.exit(Supervisor(settings, preloaded(app, "it"), listeners, board, links).run())
"""
)


@contextmanager
def started(how: str = "well") -> Iterator[tuple[Running, tuple[str, int]]]:
    """Run a server with an endpoint on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = probe.getsockname()
    server = Running(SCRIPT, str(address[1]), how)
    try:
        yield server, address
    finally:
        server.close()


def look(address: tuple[str, int]) -> str:
    """Return what the endpoint shows; nothing where nobody is there."""
    try:
        with socket.create_connection(address, timeout=10) as client:
            return b"".join(iter(lambda: client.recv(1000), b"")).decode()
    except ConnectionError:
        return ""


def test_it_shows_all_workers_and_ends_last() -> None:
    """It is none of them."""
    with started() as (server, address):
        server.wait_ready()
        for _ in range(5):
            server.ask()
        eventually(lambda: look(address).endswith("['1', '2'] 5"))
        pid = int(look(address).split()[0])
        assert pid in server.workers()
        assert len(server.workers()) == 3
        os.killpg(server.pid, signal.SIGTERM)
        server.wait_line("the endpoint has ended")
        assert server.wait_end() == 0
        assert look(address) == ""


def test_one_that_was_killed_is_replaced() -> None:
    """The workers are not concerned."""
    with started() as (server, address):
        server.wait_ready()
        eventually(lambda: look(address) != "")
        before = set(server.workers())
        pid = int(look(address).split()[0])
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: look(address).partition(" ")[0] not in ("", str(pid)))
        assert before - {pid} < set(server.workers())


def test_one_that_can_not_start_ends_the_start() -> None:
    """With what it said."""
    with started("broken") as (server, _):
        assert server.wait_end() == 3
        server.wait_line("The metrics cannot be served: no such address")


def test_it_does_not_outlive_its_supervisor() -> None:
    """Nor does it keep the workers' address, or hide from them that they are orphans."""
    with started() as (server, address):
        server.wait_ready()
        eventually(lambda: look(address) != "")
        processes = server.workers()
        server.send(signal.SIGKILL)
        until_refused(server.address)
        eventually(lambda: not any(map(is_alive, processes)))
