"""A server in a process of its own, watched from outside: what the soaks have in common."""

import http.client
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from polling import eventually

HERE = Path(__file__).parent
SERVER = HERE / "soak" / "soaked.py"

#: What the server sends: a piece of its stream, and its file.
PIECE = b"0123456789abcdef" * 64
FILE = bytes(range(256)) * 256

_PATIENCE = 60.0


class Sample(NamedTuple):
    """What the server's process had at one moment.

    Attributes:
        fds: Open descriptors.
        threads: Threads.
        memory: KiB in memory: its proportional share where the system tells it (Pss), else Rss.
    """

    fds: int
    threads: int
    memory: int


class SoakedServer:
    """`soak/soaked.py` in a process of its own. Use it as a context manager.

    Args:
        settings: Those of the server, but for where it listens.
    """

    def __init__(self, **settings: Any) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER), json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env=_environ(),
        )  # fmt: skip
        self.pid = self._process.pid
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"The server did not start:\n{self.errors()}")
        self.port = int(line)
        self._client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()
        with self._process:
            if self._process.stdin:
                self._process.stdin.close()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._errors.close()

    def get(self, target: str) -> bytes:
        """Ask for *target* on the one connection that is kept for this."""
        self._client.request("GET", target)
        answer = self._client.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{target} was answered with {answer.status}")
        return data

    def start_threads(self, count: int) -> None:
        """Have it start all *count* threads and the overflow leader, which it starts on demand.

        So that their number can be compared later.
        """
        with ThreadPoolExecutor(count) as clients:
            list(clients.map(self._ask_apart, ["/gather"] * count))
        self.wait_quiet()

    @contextmanager
    def kept_moving(self, threads: int) -> Iterator[None]:
        """Have slow requests come meanwhile, so that every thread has its turn at the others.

        The C library keeps memory for each thread. Quick requests are run by one thread for long,
        so that what the others will keep would take hours to be there.
        """
        over = threading.Event()

        def nap(_: int) -> None:
            while not over.is_set():
                self._ask_apart("/nap")

        with ThreadPoolExecutor(threads) as clients:
            done = clients.map(nap, range(threads))
            try:
                yield
            finally:
                over.set()
                list(done)

    def pool(self) -> dict[str, Any]:
        """Return the statistics of its pool."""
        return dict(json.loads(self.get("/statistics"))["pool"])

    def sample(self) -> Sample:
        """Count what its process has."""
        process = Path(f"/proc/{self.pid}")
        return Sample(
            len(list((process / "fd").iterdir())),
            len(list((process / "task").iterdir())),
            self._memory(process),
        )

    def cpu(self) -> float:
        """Return the seconds of processor time it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_quiet(self) -> dict[str, Any]:
        """Wait until the only connection is ours; return the statistics.

        Raises:
            AssertionError: It is not, after a minute.
        """
        return self.wait_for(
            # A thread may run our own request: the leader hands over early while many are slow.
            lambda pool: pool["connections"] == 1 and pool["handed_off"] <= pool["early_promotion"]
        )

    def wait_for(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask for the statistics until *holds* says that it is so.

        Raises:
            AssertionError: It is not, after a minute.
        """

        def pool_so() -> dict[str, Any] | None:
            pool = self.pool()
            return pool if holds(pool) else None

        return eventually(pool_so, lambda: f"the server comes to rest: {self.pool()}", _PATIENCE)

    def errors(self) -> str:
        """Return what it has logged: WARNING and above."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def _ask_apart(self, target: str) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        client.request("GET", target)
        client.getresponse().read()
        client.close()

    @staticmethod
    def _memory(process: Path) -> int:
        try:
            text = (process / "smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
        except OSError:
            found = re.search(r"^VmRSS:\s+(\d+)", (process / "status").read_text(), re.MULTILINE)
        return int(found[1]) if found else 0


def _environ() -> dict[str, str]:
    """Return variables with which a process finds all that this one does, and the tests' tools."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}


def start_client(script: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start a client program; it prints lines of JSON."""
    command = [sys.executable, str(script), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=_environ())


def result_of(client: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the next line of *client*, as data.

    Raises:
        RuntimeError: It has ended without one.
    """
    line = client.stdout.readline() if client.stdout else ""
    if not line:
        raise RuntimeError(f"A client ended with status {client.wait()} and no result.")
    return dict(json.loads(line))


def raise_descriptor_limit() -> int:
    """Allow as many descriptors as this process may have; return how many those are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def table(title: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows as text, right-aligned under their titles."""
    texts = [list(title), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(title))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in texts]
    return "\n".join(lines)
