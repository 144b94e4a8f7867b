"""A server in a process of its own, and clients that count every response."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from polling import eventually
from servertools import Client

# What each fixture app has in common. `line` says something to the test, `wait` waits for it.
COMMON = """
import os, signal, sys, threading, time
from dewar.server import run

def line(text):
    os.write(1, f"{text}\\n".encode())

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/pid":
        body = str(os.getpid()).encode()
    elif path == "/hold":
        line(f"held {os.getpid()}")
        with open(environ["QUERY_STRING"], "rb", 0) as gate:
            gate.read()
        body = b"released"
    elif path == "/code":
        body = CODE.encode()
    else:
        body = b"here"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]

CODE = "one"
"""


class Running:
    """A server in a subprocess; what it prints can be waited for."""

    def __init__(
        self, script: str, *arguments: str, wrapper: tuple[str, ...] = (), **popen: Any
    ) -> None:
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-W", "error", "-c", script, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **{
                "env": {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
                **popen,
            },
        )
        self.lines: list[str] = []
        self._clients: list[Client] = []
        self._came = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = 0

    @property
    def pid(self) -> int:
        """The process that takes signals."""
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    def wait_line(self, text: str, times: int = 1) -> str:
        """Wait until it has printed a line with *text* in it, that many times."""
        with self._came:
            found: list[str] = []

            def enough() -> bool:
                nonlocal found
                found = [line for line in self.lines if text in line]
                return len(found) >= times or self._over

            assert self._came.wait_for(enough, 30), (text, self.lines)
            assert len(found) >= times, (text, self.lines)
            return found[times - 1]

    def wait_ready(self) -> None:
        """Wait for the banner."""
        banner = self.wait_line("Dewar serving")
        self.port = int(banner.partition("http://127.0.0.1:")[2].split()[0])

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def client(self) -> Client:
        """Connect."""
        self._clients.append(Client(self.address))
        return self._clients[-1]

    def ask(self, target: str = "/") -> str:
        """Return the body of one answer, from a connection of its own."""
        client = self.client()
        try:
            return client.get(target, Connection="close")[2].decode()
        except (OSError, EOFError) as error:
            raise AssertionError((target, self.lines)) from error
        finally:
            client.close()

    def workers(self) -> list[int]:
        """Return the processes that it has made and not reaped."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def without(self, *former: int) -> Callable[[], bool]:
        """Return what tells whether none of these is a worker any more."""
        return lambda: not set(former) & set(self.workers())

    def wait_end(self, timeout: float = 30) -> int:
        """Wait for its end and return its status."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def close(self) -> None:
        """End it and all that it has made."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(10)
        for client in self._clients:
            client.close()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with self._came:
                self.lines.append(text.rstrip("\n"))
                self._came.notify_all()
        with self._came:
            self._over = True
            self._came.notify_all()


@contextmanager
def running(settings: str, before: str = "", call: str = "run(app, ") -> Iterator[Running]:
    """Run a server with *settings*, as they stand in a call."""
    script = f'{COMMON}{before}\n{call}bind="127.0.0.1:0", name="the app", {settings})\n'
    server = Running(script)
    try:
        server.wait_ready()
        yield server
    finally:
        server.close()


class Load:
    """Clients that ask on and on and count what they get.

    A client that keeps its connection opens another one where it was told that this one ends, and
    never asks twice. Whatever is not a whole answer with a status that is allowed is a failure.
    What is counted is the body of a 200, and the status of another answer.

    Args:
        address: Where to ask.
        clients: How many ask at a time.
        keeps: Whether a client keeps its connection.
        target: What they ask for.
        allowed: The statuses of answers.
    """

    def __init__(
        self,
        address: tuple[str, int],
        clients: int,
        keeps: bool,
        target: str = "/pid",
        allowed: tuple[str, ...] = ("200",),
    ) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._address = address
        self._keeps = keeps
        self._target = target
        self._allowed = allowed
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    @property
    def count(self) -> int:
        """Answers so far."""
        return sum(self.answers.values())

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def wait_more(self, answers: int) -> None:
        """Wait for that many answers from now on."""
        with self._changed:
            wanted = self.count + answers
            assert self._changed.wait_for(lambda: self.count >= wanted, 60), self.failures

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds, looking at it with each answer."""
        with self._changed:
            assert self._changed.wait_for(condition, 60), (self.answers, self.failures)

    def _ask(self) -> None:
        client: Client | None = None
        asked = False
        fields = {} if self._keeps else {"Connection": "close"}
        while not self._stopping.is_set():
            step, answer = "connect", ""
            try:
                if client is None:
                    client, asked = Client(self._address), False
                step = "ask again" if asked else "ask"
                line, answered, body = client.get(self._target, **fields)
                status = line.split()[1].decode()
                answer = body.decode() if status == "200" else status
                failure = "" if status in self._allowed else repr(line)
                ends, asked = answered.get(b"connection") == b"close", True
            except (OSError, EOFError) as error:
                failure, ends = f"{step}: {error!r}", True
            if client is not None and ends:
                client.close()
                client = None
            with self._changed:
                if failure:
                    self.failures.append(failure)
                else:
                    self.answers[answer] += 1
                self._changed.notify_all()
        if client is not None:
            client.close()


@contextmanager
def gate(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A path for ``/hold?path``, and what lets all that wait there go on."""
    path = folder / "gate"
    os.mkfifo(path)
    # Open for both, so that a reader's open() does not wait and its read() does.
    fd = os.open(path, os.O_RDWR)
    is_open = [True]

    def release() -> None:
        if is_open:
            is_open.clear()
            os.close(fd)

    yield str(path), release
    release()


def is_alive(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def until_refused(address: tuple[str, int]) -> None:
    """Connect until nobody listens any more."""

    def is_refused() -> bool:
        try:
            # Short: while the listener is closed the system may drop the first packet of a
            # connection, and send it again a second later.
            socket.create_connection(address, timeout=0.2).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
        return False

    eventually(is_refused, f"nobody listens on {address}")
