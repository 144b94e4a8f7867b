"""The load generator: wrk or `bench.load`, in a process on the second core."""

import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench import shot, wrk
from bench.machine import Machine
from bench.shot import Shot


@dataclass(frozen=True, kw_only=True)
class Generator:
    """Sends bursts of load to a port of this machine."""

    machine: Machine
    wrk: str | None

    def describe(self) -> str:
        """Return a line for the header of the table."""
        name = "own (bench/load.py)" if self.wrk is None else "wrk --latency, one thread"
        return f"{name}; a server with the note 'load at its limit' may be faster than shown"

    def fire(self, port: int, path: str, connections: int, seconds: int) -> Shot:
        """Load one server and return the measured figures.

        Raises:
            RuntimeError: If the generator printed no figures. The message is its output.
        """
        command = [*self.machine.pin_load(), *self._command(port, path, connections, seconds)]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 30, check=False
        )
        took = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            raise RuntimeError(said[-1] if said else f"load generator: status {done.returncode}")
        if self.wrk is None:
            return shot.from_json(done.stdout)
        try:
            seen = wrk.parse(done.stdout)
        except ValueError as error:
            raise RuntimeError(str(error)) from error
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return replace(seen, busy=spent / took)

    def _command(self, port: int, path: str, connections: int, seconds: int) -> list[str]:
        if self.wrk is None:
            own = [sys.executable, "-m", "bench.load", "--port", str(port), "--path", path]
            return [*own, "--connections", str(connections), "--seconds", str(seconds)]
        own = [self.wrk, "--latency", "-t1", f"-c{connections}", f"-d{seconds}s"]
        # With thousands of connections, a response in order may take more than wrk's two seconds.
        return [*own, "--timeout", "30s", f"http://127.0.0.1:{port}{path}"]


@dataclass(frozen=True, kw_only=True)
class ScriptGenerator(Generator):
    """Sends the requests that a script of ``bench/lua`` makes. It needs wrk.

    Attributes:
        script: The name of the file, without its suffix.
        arguments: What the script gets.
    """

    script: str
    arguments: tuple[str, ...] = ()

    def _command(self, port: int, path: str, connections: int, seconds: int) -> list[str]:
        if self.wrk is None:
            raise RuntimeError(f"{self.script}.lua needs wrk, which is not installed or not used")
        command = super()._command(port, path, connections, seconds)
        file = Path(__file__).parent / "lua" / f"{self.script}.lua"
        return [*command, "--script", str(file), "--", *self.arguments]


@dataclass(frozen=True, kw_only=True)
class EchoGenerator(Generator):
    """Sends messages over WebSockets, and waits for their echo.

    Attributes:
        size: The bytes of a message.
    """

    wrk: str | None = None
    size: int

    def _command(self, port: int, path: str, connections: int, seconds: int) -> list[str]:
        own = [sys.executable, "-m", "bench.websocket_load", "--port", str(port), "--path", path]
        own += ["--connections", str(connections), "--size", str(self.size)]
        return [*own, "--seconds", str(seconds)]


def choose(wish: str, machine: Machine) -> Generator:
    """Return the generator for ``own``, ``wrk`` or ``auto`` (wrk if it is installed).

    Raises:
        LookupError: If wrk is requested but not installed.
    """
    found = shutil.which("wrk") if wish != "own" else None
    if wish == "wrk" and found is None:
        raise LookupError("wrk is not installed. Install it, or use --load own.")
    return Generator(machine=machine, wrk=found)
