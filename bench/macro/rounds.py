"""Servers are measured in turns (A B C, A B C, …), so that noise affects all of them."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import stats
from bench.generator import Generator
from bench.machine import Machine
from bench.servers import Contestant, Server, ServerFailedError
from bench.shot import Shot

# Above this share of its core, the load generator may be the limit, not the server.
LIMIT = 0.97
# Above this spread, the machine was busy with something else, and the median may be wrong too. On
# a quiet machine, rounds differ by about 5 %.
UNSTEADY = 0.25


@dataclass(frozen=True, kw_only=True)
class Target:
    """The request that every server of a group gets, and the load.

    Attributes:
        generator: Sends the load, if it is not the usual one of the arena.
    """

    path: str
    expected: bytes
    connections: int
    rounds: int
    seconds: int
    warm_seconds: int = 0
    generator: Generator | None = None


@dataclass(kw_only=True)
class Result:
    """The shots of one contestant, or the reason why there are none."""

    name: str
    shots: list[Shot] = field(default_factory=list)
    failure: str = ""

    @property
    def rate(self) -> float | None:
        """The median of the rounds in requests per second, or None after a failure."""
        return None if self.failure else stats.median([shot.rate for shot in self.shots])

    @property
    def p99_ms(self) -> float | None:
        """The median of the rounds' 99th percentiles, or None after a failure."""
        return None if self.failure else stats.median([shot.p99_ms for shot in self.shots])

    @property
    def note(self) -> str:
        """Remarks that a reader of the figures needs."""
        notes = []
        if errors := sum(shot.errors for shot in self.shots):
            notes.append(f"{errors} errors")
        if self.shots and stats.median([shot.busy for shot in self.shots]) > LIMIT:
            notes.append("load at its limit")
        if self.shots and (apart := stats.spread([shot.rate for shot in self.shots])) > UNSTEADY:
            notes.append(f"unsteady: rounds {apart:.0%} apart")
        return ", ".join(notes)


@dataclass(frozen=True, kw_only=True)
class Arena:
    """The machine, the load generator, and the folder in which servers start."""

    machine: Machine
    generator: Generator
    root: Path

    def without_pinning(self) -> "Arena":
        """Return the same arena for servers that use several cores."""
        free = Machine(cores=self.machine.cores, taskset=None)
        return replace(self, machine=free, generator=replace(self.generator, machine=free))

    def measure(self, contestants: Sequence[Contestant], target: Target) -> list[Result]:
        """Start all servers, measure them in turns, and stop them.

        A contestant that fails is not measured further, and its result says why. All servers run
        during all rounds. Between their turns they have no connections and are idle.
        """
        return self.sweep(contestants, [target])[0]

    def sweep(
        self, contestants: Sequence[Contestant], targets: Sequence[Target]
    ) -> list[list[Result]]:
        """Start all servers once, and measure them in turns with each target.

        A contestant that fails with one target is tried again with the next.
        """
        with ExitStack() as stack:
            started = [self._started(contestant, stack) for contestant in contestants]
            return [self._measure(started, target) for target in targets]

    def _started(self, contestant: Contestant, stack: ExitStack) -> tuple[str, Server | str]:
        """Return the name of a contestant, and its server or why there is none."""
        try:
            return contestant.name, stack.enter_context(self._server(contestant))
        except ServerFailedError as error:
            return contestant.name, str(error)

    def _measure(self, started: Sequence[tuple[str, Server | str]], target: Target) -> list[Result]:
        results = [Result(name=name) for name, _ in started]
        running: list[tuple[Server, Result]] = []
        for (_, server), result in zip(started, results, strict=True):
            if isinstance(server, str):
                result.failure = server
                continue
            try:
                server.check(target.path, target.expected)
            except ServerFailedError as error:
                result.failure = str(error)
            else:
                running.append((server, result))
        if target.warm_seconds:
            self._round(running, target, target.warm_seconds, kept=False)
        for number in range(target.rounds):
            _say(f"{target.path}, round {number + 1} of {target.rounds}")
            self._round(running, target, target.seconds, kept=True)
        return results

    def _round(
        self, running: list[tuple[Server, Result]], target: Target, seconds: int, *, kept: bool
    ) -> None:
        generator = target.generator or self.generator
        for server, result in running:
            if result.failure:
                continue
            try:
                shot = generator.fire(server.port, target.path, target.connections, seconds)
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                result.failure = f"{error}; {server.last_line()}"
                continue
            if not server.is_alive():
                result.failure = f"died under load; {server.last_line()}"
            elif kept:
                result.shots.append(shot)

    def _server(self, contestant: Contestant) -> Server:
        return Server(
            contestant=contestant,
            folder=self.root,
            environment=environment(self.root),
            prefix=self.machine.pin_server(),
        )


def environment(root: Path) -> Mapping[str, str]:
    """Return the environment of processes in the bench venv, which can import ``bench``."""
    return {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}


def _say(what: str) -> None:
    print(f"bench: {what} …", file=sys.stderr, flush=True)
