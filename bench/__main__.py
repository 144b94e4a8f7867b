"""Benchmarks Dewar and its peers, and prints one table."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import plan, table
from bench.macro import (
    blocking,
    coroutines,
    processes,
    startup,
    strictness,
    targets,
    throughput,
    websockets,
)
from bench.macro.rounds import Result
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
from bench.run import ROOT, Run, ScriptFailedError, begin
from bench.table import Row

GROUPS = (
    *("proxy", "request", "tasks", "server", "blocking", "processes", "async", "websocket"),
    "startup",
)
# Only runs with --only, because it takes a minute to fill a ledger.
LEDGER_GROUP = "ledger"
# Only runs with --only, because it needs a Redis.
QUEUES_GROUP = "queues"
# Only runs with --only, because it takes seven minutes.
TARGETS = "targets"
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


def measure(run: Run, group: str) -> tuple[list[Row], Any]:
    """Return the rows of one group and the raw figures behind them."""
    if group in SCRIPTS:
        return _in_process(run, group)
    if group == TARGETS:
        return targets.measure(run)
    if group == STRICTNESS:
        rows, scores = strictness.measure(ROOT, run.contestants)
        return rows, [asdict(score) for score in scores]
    if group == "startup":
        rows, starts = startup.measure(run.arena, run.contestants, run.plan)
        return rows, [asdict(start) for start in starts]
    modules = {
        "server": throughput,
        "blocking": blocking,
        "processes": processes,
        "async": coroutines,
        "websocket": websockets,
    }
    rows, results = modules[group].measure(run.arena, run.contestants, run.plan)
    return rows, [_raw(result) for result in results]


def _in_process(run: Run, group: str) -> tuple[list[Row], Any]:
    script, title, rows_of = SCRIPTS[group]
    try:
        raw = run.script(f"bench.micro.{script}", run.plan.arguments(group))
    except ScriptFailedError as error:
        return [table.failed(title, "everything", str(error))], str(error)
    return rows_of(raw), raw


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return 1 if a row failed."""
    options = _options(arguments)
    try:
        run = begin(options.load, plan.QUICK if options.quick else plan.FULL)
        return _run(run, options)
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted; all servers have been stopped", file=sys.stderr)
        return 130


def _run(run: Run, options: argparse.Namespace) -> int:
    problems = run.venv.prepare(rebuild=options.rebuild)
    rows: list[Row] = []
    raw: dict[str, Any] = {}
    for group in options.only or GROUPS:
        print(f"bench: measuring {group} …", file=sys.stderr, flush=True)
        its_rows, raw[group] = measure(run, group)
        rows += its_rows
    header = [*run.header(), *(("problem", problem) for problem in problems)]
    print((table.markdown if options.markdown else table.text)(header, rows), end="")
    if options.page is not None:
        words = [f"--only {group}" for group in options.only or ()] + ["--quick"] * options.quick
        repeat = " ".join(["python3 -m bench", *words])
        options.page.write_text(table.page(repeat, header, rows), "utf-8")
    if options.json is not None:
        figures = {"header": dict(header), "rows": [asdict(row) for row in rows], "raw": raw}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 1 if problems or any(row.is_failed for row in rows) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    groups = (*GROUPS, TARGETS, LEDGER_GROUP, QUEUES_GROUP, STRICTNESS)
    parser.add_argument("--only", action="append", choices=groups, help="one group (repeatable)")
    parser.add_argument("--quick", action="store_true", help="rough figures in 90 seconds")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page of Markdown too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures too")
    parser.add_argument("--load", choices=("auto", "own", "wrk"), default="auto")
    parser.add_argument("--rebuild", action="store_true", help="rebuild .bench-venv")
    return parser.parse_args(arguments)


def _raw(result: Result) -> dict[str, Any]:
    shots = [asdict(shot) for shot in result.shots]
    return {"name": result.name, "failure": result.failure, "shots": shots}


if __name__ == "__main__":
    sys.exit(main())
