"""`Run`: the environment of one run of the bench, which all of its measurements share."""

import datetime as dt
import json
import resource
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import generator, machine
from bench.contestants import Contestants
from bench.macro.rounds import Arena, environment
from bench.plan import Plan
from bench.venv import BenchVenv

ROOT = Path(__file__).resolve().parent.parent


class ScriptFailedError(RuntimeError):
    """Raised when a script fails, with the last line of its error."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The venv, the machine with its load generator, and how long to measure."""

    venv: BenchVenv
    arena: Arena
    plan: Plan

    @property
    def contestants(self) -> Contestants:
        """The commands of all servers."""
        return Contestants(venv=self.venv)

    def header(self) -> list[tuple[str, str]]:
        """Return the facts that a reader of the figures needs, as names and values."""
        versions = self.venv.versions()
        bursts = f"{self.plan.server_rounds} rounds of {self.plan.server_seconds} s in turns"
        return [
            ("date", dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")),
            ("Python", versions.pop("python")),
            ("machine", self.arena.machine.describe()),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
            ("pinning", self.arena.machine.describe_pinning()),
            ("load", self.arena.generator.describe()),
            ("bursts", f"{bursts}, {self.plan.connections} connections"),
        ]

    def script(self, name: str, arguments: list[str]) -> Any:
        """Return the output of a script of ``micro``, which runs on the core of the server.

        Raises:
            ScriptFailedError: If it fails.
        """
        done = subprocess.run(
            [*self.arena.machine.pin_server(), str(self.venv.python), "-m", name, *arguments],
            cwd=ROOT,
            env=dict(environment(ROOT)),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise ScriptFailedError(said[-1] if said else f"status {done.returncode}")
        return json.loads(done.stdout)


def begin(load: str, plan: Plan) -> Run:
    """Return a run on this machine, with as many descriptors as the system allows.

    Raises:
        LookupError: If the load generator is not installed.
    """
    # On SIGTERM, leave every `with` block, so that the servers end too.
    signal.signal(signal.SIGTERM, _stop)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    here = machine.inspect()
    arena = Arena(machine=here, generator=generator.choose(load, here), root=ROOT)
    venv = BenchVenv(root=ROOT, folder=ROOT / ".bench-venv")
    return Run(venv=venv, arena=arena, plan=plan)


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
