"""Servers as processes of their own, and clients that take no answer for granted."""

import http.client
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from polling import eventually

# What a server may add or choose by itself; everything else is the app's and must be the same.
_OWN_FIELDS = {"date", "server", "connection", "keep-alive", "transfer-encoding", "via"}
# Below those that Linux, macOS and Windows give to clients.
_PORTS = 15_000, 32_000


class Answer(NamedTuple):
    """What a client got, without what is the server's own."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes


def free_port() -> int:
    """Return a port that nobody listens on at the moment.

    It is none that the system gives to clients: one of these could take it before the server has
    it, or while the server is started again, even by connecting to it.
    """
    while True:
        port = random.randrange(*_PORTS)
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


class Process:
    """A server in a process of its own, up when this returns.

    Args:
        command: What to start.
        port: Where it will listen.
        folder: Where it runs, and where its output goes.
        environ: Variables besides ours.
    """

    def __init__(
        self, command: Sequence[str], port: int, folder: Path, environ: dict[str, str] | None = None
    ) -> None:
        self.port = port
        self._log = folder / f"server-{port}.log"
        with self._log.open("wb") as log:
            # A session of its own, so that all of its processes can be ended together.
            self._process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})},
                start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_up()
        except BaseException:
            self.kill()
            raise

    def log(self) -> str:
        """Return what it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to the process that takes them."""
        self._process.send_signal(number)

    def wait(self, timeout: float = 20) -> int:
        """Wait for its end; return its exit status."""
        return self._process.wait(timeout)

    def stop(self) -> None:
        """Ask it to end, and make it end if it does not."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(3)
        self.kill()

    def kill(self) -> None:
        """End it and its children at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def _wait_up(self) -> None:
        """Wait until it listens.

        Raises:
            AssertionError: It has ended, or does not listen.
        """

        def is_up() -> bool:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            except OSError:
                assert self._process.poll() is None, f"it has ended: {self.log()}"
                return False
            return True

        eventually(is_up, lambda: f"the server listens:\n{self.log()}")


def ask(port: int, method: str, target: str, **more: Any) -> Answer:
    """Send one request on a connection of its own; return the answer without what is the server's.

    Args:
        port: On the loopback address.
        method: The method.
        target: Path and query.
        more: ``body`` and ``headers`` as `http.client` takes them.
    """
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return ask_on(client, method, target, **more)
    finally:
        client.close()


def ask_on(client: http.client.HTTPConnection, method: str, target: str, **more: Any) -> Answer:
    """Send one request on *client*, which may be kept alive."""
    client.request(method, target, **more)
    response = client.getresponse()
    body = response.read()
    fields = [(name.lower(), value) for name, value in response.getheaders()]
    kept = sorted(field for field in fields if field[0] not in _OWN_FIELDS)
    return Answer(response.status, kept, body)


def dewar_command(port: int) -> list[str]:
    """Return the command that serves the app on Dewar's own server."""
    bind = f"127.0.0.1:{port}"
    return [sys.executable, "-m", "dewar", "run", "deployed:app", "--bind", bind, "--threads", "4"]
