"""A measured server: a subprocess that listens on a port, and is always stopped."""

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

START_SECONDS = 20.0
STOP_SECONDS = 3.0


class ServerFailedError(RuntimeError):
    """Raised when a server does not start, dies, or sends an unexpected response."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A server to measure, and its command, in which ``{port}`` is the port."""

    name: str
    command: tuple[str, ...]

    def plus(self, *options: str) -> "Contestant":
        """Return the same server with more options, before its last argument: the application."""
        *start, app = self.command
        return replace(self, command=(*start, *options, app))

    def command_on(self, port: int) -> list[str]:
        """Return the command that listens on this port."""
        return [word.replace("{port}", str(port)) for word in self.command]


@dataclass(kw_only=True)
class Server:
    """A running contestant. Leaving its ``with`` block ends the process and all its children."""

    contestant: Contestant
    folder: Path
    environment: Mapping[str, str]
    prefix: list[str] = field(default_factory=list)
    port: int = 0
    # How often it is looked whether it listens, in seconds.
    look: float = 0.05
    _process: subprocess.Popen[bytes] | None = None
    _log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.port = free_port()
        self._log = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                [*self.prefix, *self.contestant.command_on(self.port)],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                # A separate process group: workers end with it, and Ctrl+C only reaches the bench.
                start_new_session=True,
            )
            self._wait_until_open()
        except OSError as error:
            self.close()
            raise ServerFailedError(str(error)) from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def check(self, path: str, expected: bytes) -> None:
        """Send a request and compare the response.

        Raises:
            ServerFailedError: If the response is not a 200 with exactly the expected body.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerFailedError(f"{error!r}; {self.last_line()}") from error
        finally:
            connection.close()
        if answer.status != 200 or body != expected:
            said = f"answered {answer.status} {body[:60]!r} instead of 200 {expected!r}"
            raise ServerFailedError(f"{said}; {self.last_line()}")

    def last_line(self) -> str:
        """Return the last line that the server logged: a traceback ends with its reason."""
        if self._log is None:
            return "not started"
        with os.fdopen(os.dup(self._log.fileno()), "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing logged")

    @property
    def pid(self) -> int:
        """The process; 0 if it was not started."""
        return 0 if self._process is None else self._process.pid

    def is_alive(self) -> bool:
        """Whether the process is still running."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Stop the process group with SIGTERM, then with SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            try:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_SECONDS)
            finally:
                # Some may be left: a leader that ignores SIGTERM, workers that outlive it, or all
                # processes, if a second Ctrl+C interrupts the wait.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _wait_until_open(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_alive():
                raise ServerFailedError(self.last_line())
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(self.look)
        raise ServerFailedError(f"not reachable after {START_SECONDS:g} s; {self.last_line()}")


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
