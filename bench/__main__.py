"""Benchmarks Dewar and its peers, and prints one table."""

import argparse
import datetime as dt
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import generator, machine, plan, table
from bench.contestants import Contestants
from bench.macro import blocking, coroutines, processes, strictness, throughput, websockets
from bench.macro.rounds import Arena, Result, environment
from bench.micro.rows import (
    LEDGER,
    PROXY,
    QUEUES,
    REQUEST,
    TASKS,
    ledger_rows,
    proxy_rows,
    queue_rows,
    request_rows,
    task_rows,
)
from bench.plan import Plan
from bench.table import Row
from bench.venv import BenchVenv

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("proxy", "request", "tasks", "server", "blocking", "processes", "async", "websocket")
# Only runs with --only, because it takes a minute to fill a ledger.
LEDGER_GROUP = "ledger"
# Only runs with --only, because it needs a Redis.
QUEUES_GROUP = "queues"
# Only runs with --only, because it does not measure speed.
STRICTNESS = "strictness"
# The groups that run in one process: the script, the title, and the rows of its output.
SCRIPTS: dict[str, tuple[str, str, Callable[[Any], list[Row]]]] = {
    "proxy": ("proxy", PROXY, lambda raw: proxy_rows(raw["cases"], raw["failures"])),
    "request": ("in_process", REQUEST, lambda raw: request_rows(raw["figures"], raw["failures"])),
    "tasks": ("tasks", TASKS, lambda raw: task_rows(raw, "ThreadPoolExecutor")),
    LEDGER_GROUP: ("ledger", LEDGER, lambda raw: ledger_rows(raw["figures"], raw["ended"])),
    QUEUES_GROUP: (
        "job_queues",
        QUEUES,
        lambda raw: queue_rows(raw["figures"], raw["failures"]),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One run: its environment, and the rounds and durations of its measurements."""

    venv: BenchVenv
    arena: Arena
    plan: Plan

    def measure(self, group: str) -> tuple[list[Row], Any]:
        """Return the rows of one group and the raw figures behind them."""
        if group in SCRIPTS:
            return self._in_process(group)
        contestants = Contestants(venv=self.venv)
        if group == STRICTNESS:
            rows, scores = strictness.measure(ROOT, contestants)
            return rows, [asdict(score) for score in scores]
        modules = {
            "server": throughput,
            "blocking": blocking,
            "processes": processes,
            "async": coroutines,
            "websocket": websockets,
        }
        rows, results = modules[group].measure(self.arena, contestants, self.plan)
        return rows, [_raw(result) for result in results]

    def header(self) -> list[tuple[str, str]]:
        """Return the facts that a reader of the table needs, as names and values."""
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

    def _in_process(self, group: str) -> tuple[list[Row], Any]:
        script, title, rows_of = SCRIPTS[group]
        raw = self._script(script, self.plan.arguments(group))
        if isinstance(raw, str):
            return [table.failed(title, "everything", raw)], raw
        return rows_of(raw), raw

    def _script(self, name: str, arguments: list[str]) -> Any:
        """Return the output of a script of ``micro``, or the last line of its error."""
        command = [str(self.venv.python), "-m", f"bench.micro.{name}", *arguments]
        done = subprocess.run(
            [*self.arena.machine.pin_server(), *command],
            cwd=ROOT,
            env=dict(environment(ROOT)),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return said[-1] if said else f"status {done.returncode}"
        return json.loads(done.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return 1 if a row failed."""
    options = _options(arguments)
    # On SIGTERM, leave every `with` block, so that the servers end too.
    signal.signal(signal.SIGTERM, _stop)
    here = machine.inspect()
    try:
        load = generator.choose(options.load, here)
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    bench = Bench(
        venv=BenchVenv(root=ROOT, folder=ROOT / ".bench-venv"),
        arena=Arena(machine=here, generator=load, root=ROOT),
        plan=plan.QUICK if options.quick else plan.FULL,
    )
    try:
        return _run(bench, options)
    except KeyboardInterrupt:
        print("bench: interrupted; all servers have been stopped", file=sys.stderr)
        return 130


def _run(bench: Bench, options: argparse.Namespace) -> int:
    problems = bench.venv.prepare(rebuild=options.rebuild)
    rows: list[Row] = []
    raw: dict[str, Any] = {}
    for group in options.only or GROUPS:
        print(f"bench: measuring {group} …", file=sys.stderr, flush=True)
        its_rows, raw[group] = bench.measure(group)
        rows += its_rows
    header = [*bench.header(), *(("problem", problem) for problem in problems)]
    print((table.markdown if options.markdown else table.text)(header, rows), end="")
    if options.json is not None:
        figures = {"header": dict(header), "rows": [asdict(row) for row in rows], "raw": raw}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 1 if problems or any(row.is_failed for row in rows) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    groups = (*GROUPS, LEDGER_GROUP, QUEUES_GROUP, STRICTNESS)
    parser.add_argument("--only", action="append", choices=groups, help="one group (repeatable)")
    parser.add_argument("--quick", action="store_true", help="rough figures in 90 seconds")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures too")
    parser.add_argument("--load", choices=("auto", "own", "wrk"), default="auto")
    parser.add_argument("--rebuild", action="store_true", help="rebuild .bench-venv")
    return parser.parse_args(arguments)


def _raw(result: Result) -> dict[str, Any]:
    shots = [asdict(shot) for shot in result.shots]
    return {"name": result.name, "failure": result.failure, "shots": shots}


def _stop(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
