"""The chaos run in its short form; `make chaos` runs the long one."""

import subprocess
import sys

import pytest

from architecture.tree import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="stops processes as Linux does")
def test_each_job_is_accounted_for_whatever_goes_wrong() -> None:
    """In a process of its own, because the run leaves variables behind."""
    command = [
        sys.executable,
        "tests/soak/chaos.py",
        "--ledger=sqlite",
        "--seconds=3",
        "--jobs=180",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "nothing is amiss" in done.stdout
