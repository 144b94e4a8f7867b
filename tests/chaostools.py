"""What the chaos run has things go wrong with: workers with clocks, a small disk, a PostgreSQL."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from deploymenttools import free_port

_FAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)
_DISK = 64 * 2**20


def last(seconds: float) -> None:
    """Leave something as it is for *seconds*: what is wrong, or the peace in between."""
    time.sleep(seconds)


class ChaosWorker:
    """``dewar tasks work`` for the app of the chaos run, with a clock that a file sets.

    Args:
        env: Its environment.
        clock: The file with the clock's offset, for libfaketime.
    """

    def __init__(self, env: dict[str, str], clock: Path) -> None:
        library = next((path for path in _FAKETIME if os.path.exists(path)), None)  # noqa: PTH110
        self.env = env
        self.has_clock = library is not None
        here = Path(__file__).parent
        more = {"PYTHONPATH": f"{here / 'soak'}:{here}", "PYTHONUNBUFFERED": "1"}
        if library is not None:
            more.update(
                LD_PRELOAD=library,
                FAKETIME_TIMESTAMP_FILE=str(clock),
                FAKETIME_NO_CACHE="1",
                DONT_FAKE_MONOTONIC="1",
                FAKETIME_DONT_FAKE_MONOTONIC="1",
            )
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by kill()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dewar", "--app", "chaotic", "tasks", "work"],
            env={**env, **more}, stdout=self._output, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def has_ended(self) -> bool:
        """Return whether it has ended by itself."""
        return self._process.poll() is not None

    def is_ready(self) -> bool:
        """Return whether it has said that it runs jobs, which it does with its handlers set."""
        return "runs jobs of" in self.said()

    def send(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, timeout: float) -> int | None:
        """Return its status; None if it does not end."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._output.close()

    def said(self) -> str:
        """Return what it has printed."""
        if self._output.closed:
            return ""
        # Not by the file's position, which is the worker's too: it would write there.
        fd = self._output.fileno()
        return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")


class Database(Protocol):
    """Where the ledger is, and what can go wrong with it."""

    url: str

    def events(self, dice: random.Random) -> dict[str, Callable[[], None]]:
        """Return what can go wrong, by name."""

    def __enter__(self) -> Self:
        """Make it."""

    def __exit__(self, *exc_info: object) -> None:
        """Remove it."""


class SmallDisk:
    """A SQLite ledger on a disk that can be filled, where this user may mount one.

    Args:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_mounted = False
        self.url = str(folder / "jobs.sqlite3")

    def __repr__(self) -> str:
        return f"<SmallDisk {'mounted' if self._is_mounted else 'a folder'}>"

    def __enter__(self) -> Self:
        self._folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(self._folder)]
        with suppress(OSError):
            done = subprocess.run(command, capture_output=True, check=False)
            self._is_mounted = done.returncode == 0
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._is_mounted:
            subprocess.run(["umount", "-l", str(self._folder)], check=False)

    def events(self, dice: random.Random) -> dict[str, Callable[[], None]]:
        """Return what can go wrong, by name."""
        found: dict[str, Callable[[], None]] = {"locked": lambda: self._lock(dice)}
        if self._is_mounted:
            found["disk full"] = lambda: self._fill(dice)
        return found

    def _lock(self, dice: random.Random) -> None:
        """Hold the only lock for less or longer than the lease."""
        connection = sqlite3.connect(self.url, timeout=20, isolation_level=None)
        try:
            connection.execute("begin exclusive")
            last(dice.choice([0.5, 2.0, 4.5]))
            connection.execute("rollback")
        except sqlite3.Error:
            pass  # it was locked for too long by others
        finally:
            connection.close()

    def _fill(self, dice: random.Random) -> None:
        """Leave nothing of the disk for a moment."""
        filler = self._folder / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(65536))
        except OSError:
            last(dice.choice([0.5, 2.0]))
        finally:
            filler.unlink()


class PrivatePostgreSQL:
    """A PostgreSQL of its own, which can be restarted."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        self._port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def __repr__(self) -> str:
        return "<PrivatePostgreSQL>"

    @staticmethod
    def program(name: str) -> str | None:
        """Return the path of one of its programs, which Debian keeps off the search path."""
        known = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        return str(known[-1]) if known else shutil.which(name)

    @classmethod
    def is_installed(cls) -> bool:
        """Return whether its programs are here."""
        return cls.program("initdb") is not None

    def __enter__(self) -> Self:
        data = self._folder / "data"
        if os.geteuid() == 0:  # it does not run as root
            shutil.chown(self._folder, "postgres")
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync")
        options = f"-p {self._port} -k {self._folder} -c fsync=off -c max_connections=60"
        (data / "postgresql.auto.conf").write_text("listen_addresses = '127.0.0.1'\n")
        self._run("pg_ctl", "-D", str(data), "-w", "-l", str(self._folder / "log"),
                  "-o", options, "start")  # fmt: skip
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._control("stop", "-m", "immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def events(self, dice: random.Random) -> dict[str, Callable[[], None]]:
        """Return what can go wrong, by name."""
        return {
            "database restarted": lambda: self._restart(0.0),
            "database away": lambda: self._restart(dice.choice([1.0, 4.5])),
            "connections cut": self._cut,
        }

    def _restart(self, pause: float) -> None:
        """Take it away without ceremony, and bring it back."""
        self._control("stop", "-m", "immediate")
        last(pause)
        data = str(self._folder / "data")
        options = f"-p {self._port} -k {self._folder} -c fsync=off -c max_connections=60"
        self._run(
            "pg_ctl", "-D", data, "-w", "-l", str(self._folder / "log"), "-o", options, "start"
        )

    def _cut(self) -> None:
        """Cut all connections but this one, in the middle of whatever they do."""
        import psycopg

        with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where pid <> pg_backend_pid() and backend_type = 'client backend'"
            )

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", *arguments)

    def _run(self, name: str, *arguments: str) -> None:
        program = self.program(name)
        assert program is not None
        user = "postgres" if os.geteuid() == 0 else None
        done = subprocess.run(
            [program, *arguments], user=user, cwd=self._folder, check=False, timeout=120,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            log = self._folder / "log"
            raise RuntimeError(f"{name} failed: {log.read_text()[-2000:] if log.exists() else ''}")
