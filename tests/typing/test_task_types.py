"""What type checkers tell a program about its jobs is right, and its mistakes are found."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

TYPED = Path(__file__).with_name("tasks_typed.py")
ROOT = Path(__file__).parents[2]


def expected() -> list[int]:
    lines = TYPED.read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if line.endswith("  # error")]


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def has_pyright() -> bool:
    """Whether pyright runs. It downloads itself on first use, which can fail, or never end."""
    command = [sys.executable, "-m", "pyright", "--version"]
    try:
        return subprocess.run(command, check=False, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def test_mypy_finds_the_mistakes_and_nothing_else():
    """In strict mode; the results have the types of the functions."""
    found = run("mypy", "--strict", "--no-error-summary", "--hide-error-context", str(TYPED))
    lines = {int(line) for line in re.findall(r"tasks_typed\.py:(\d+): error", found)}
    assert sorted(lines) == expected(), found


def test_pyright_finds_the_mistakes_and_nothing_else():
    """The other type checker, which editors run, agrees."""
    if not has_pyright():
        pytest.skip("needs pyright, which is not installed or could not be downloaded")
    python = ("--pythonpath", sys.executable)
    found = json.loads(run("pyright", "--outputjson", *python, str(TYPED)))
    lines = {one["range"]["start"]["line"] + 1 for one in found["generalDiagnostics"]}
    assert sorted(lines) == expected(), found
