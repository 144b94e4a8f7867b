"""Run the program, alone and under the tools that count from outside the process.

callgrind writes one file per mark: the instructions since the last mark, and the calls between C
functions. strace writes one line per system call, the marks among them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.counters.program import Windows, cost

ROOT = Path(__file__).resolve().parents[2]
#: The function of the C library, and the system call, that `bench.counters.probes.Marks` makes.
MARK = "getpriority"
_ALLOCATORS = frozenset({"malloc", "calloc", "realloc", "memalign", "posix_memalign"})
_CALL = re.compile(r"(\d+) +(\w+)\(")
#: The figures of a path by counter.
Costs = dict[str, dict[str, float]]


class MissingToolError(Exception):
    """A tool is not installed, or is not allowed to look at processes here."""


def count_inside() -> Costs:
    """Return the calls, the bytecodes and the garbage of a request on each path."""
    return _costs(_run([]))


def count_instructions() -> Costs:
    """Return the instructions of a request on each path: of all threads, in user mode."""
    return _callgrind("instructions", "pymalloc", _instructions)


def count_allocations() -> Costs:
    """Return the blocks of memory that a request asks the allocator for, on each path.

    CPython asks the C library for each of them here. What its free lists hold does not count:
    floats, frames and small tuples, lists and dicts are often made without an allocation.
    """
    return _callgrind("allocations", "malloc", _allocations)


def count_system_calls() -> Costs:
    """Return the system calls of a request on each path."""
    strace = _find("strace", "-o", os.devnull)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace")
        windows = _run([strace, "-f", "-qq", "-o", str(trace)], "--mark")
        lines = trace.read_text("utf-8", "replace").splitlines()
    return _between_marks("system calls", list(windows), _calls_between_marks(lines))


def _calls_between_marks(lines: list[str]) -> list[int]:
    """Return the calls before, between and after the marks, of the thread that makes them."""
    # A futex is a lock that another thread holds. None does here while a request is served, but the
    # thread that waits for the window to end may hold the interpreter's, at its begin.
    calls = [found.groups() for line in lines if (found := _CALL.match(line))]
    counted, marked = [0], ""
    for thread, name in calls:
        if name == MARK:
            counted.append(0)
            marked = thread
        elif thread == marked and name != "futex":
            counted[-1] += 1
    return counted


def _callgrind(counter: str, allocator: str, read: Callable[[Path], int]) -> Costs:
    valgrind = _find("valgrind", "-q", "--tool=none")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            valgrind,
            "-q",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--dump-before={MARK}",
            f"--callgrind-out-file={folder}/out",
        ]
        windows = _run(command, "--mark", "--callgrind", PYTHONMALLOC=allocator)
        files = sorted(Path(folder).glob("out.*"), key=lambda file: int(file.suffix[1:]))
        return _between_marks(counter, list(windows), [*map(read, files), 0])


def _instructions(file: Path) -> int:
    found = re.search(r"^totals: (\d+)", file.read_text("utf-8"), re.MULTILINE)
    return int(found[1]) if found else 0


def _allocations(file: Path) -> int:
    # A name stands once, with its number; afterwards only the number does. The line after that
    # of the called function has the number of calls.
    text = file.read_text("utf-8")
    names = dict(re.findall(r"^c?fn=\((\d+)\) (\S+)", text, re.MULTILINE))
    numbers = {number for number, name in names.items() if name in _ALLOCATORS}
    calls = re.findall(r"^cfn=\((\d+)\).*\ncalls=(\d+)", text, re.MULTILINE)
    return sum(int(count) for number, count in calls if number in numbers)


def _between_marks(counter: str, paths: list[str], counted: list[int]) -> Costs:
    """Return the costs, from the counter before, between and after the marks."""
    inside = counted[1::2]
    if len(counted) % 2 == 0 or len(inside) != 4 * len(paths):
        raise ValueError(f"{len(counted) - 1} marks were seen, of {8 * len(paths)}.")
    return {
        path: {counter: cost(*inside[4 * place : 4 * place + 4])}
        for place, path in enumerate(paths)
    }


def _costs(found: dict[str, Windows]) -> Costs:
    return {
        path: {counter: cost(*figures) for counter, figures in windows.items()}
        for path, windows in found.items()
    }


def _run(tool: Iterable[str], *options: str, **variables: str) -> dict[str, Windows]:
    # Nothing but these variables, so that the stack begins at the same place.
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"} | variables
    command = [*tool, sys.executable, "-m", "bench.counters.program", *options]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} has failed: {done.stderr[-500:]}")
    windows: dict[str, Windows] = json.loads(done.stdout)
    return windows


def _find(name: str, *options: str) -> str:
    """Return the path of a tool that can run a program here."""
    found = shutil.which(name)
    if found is None:
        raise MissingToolError(f"{name} is not installed.")
    tried = subprocess.run([found, *options, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise MissingToolError(f"{name} may not run programs here: {tried.stderr.strip()[-200:]}")
    return found


@dataclass(frozen=True)
class Tool:
    """A way to count: the counters that it gives, and what gives them."""

    counters: tuple[str, ...]
    count: Callable[[], Costs]


TOOLS = {
    "calls": Tool(("bytecodes", "calls of C", "calls of Python", "garbage"), count_inside),
    "instructions": Tool(("instructions",), count_instructions),
    "allocations": Tool(("allocations",), count_allocations),
    "system calls": Tool(("system calls",), count_system_calls),
}
