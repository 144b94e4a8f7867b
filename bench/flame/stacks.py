"""The samples of a program, as stacks of frames."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: The frames of a sample, the outermost first, each as ``function (file)``.
Stack = tuple[str, ...]
#: Where the server begins; what calls it is the harness.
_LEADER = "Pool._poll_and_run (dewar/server/threads/pool.py)"
_CLIENT = "(bench/counters/wire.py)"
#: Samples a second: a prime, so as not to meet the same place of each request.
_RATE = 199


def sample(path: str, seconds: float) -> tuple[Counter[Stack], float]:
    """Return how often each stack was met while a path was served, and the µs of a request.

    Raises:
        FileNotFoundError: py-spy is not installed.
        CalledProcessError: It could not look into the process.
    """
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise FileNotFoundError("py-spy is not installed: pip install py-spy")
    program = [sys.executable, "-m", "bench.flame.program", path, "--seconds"]
    # Apart from the samples: each of these stops the process for a moment.
    microseconds = float(_output([*program, str(seconds / 4)]))
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder, "folded")
        options = ["--function", "--format", "raw", "--rate", str(_RATE), "--output", str(folded)]
        _output([spy, "record", *options, "--", *program, str(seconds)])
        return served(folded.read_text("utf-8")), microseconds


def _output(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def served(folded: str) -> Counter[Stack]:
    """Return the stacks of the server alone, from lines of ``frame;frame;frame count``."""
    found: Counter[Stack] = Counter()
    for line in folded.splitlines():
        text, _, count = line.rpartition(" ")
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in text.split(";")]
        if _LEADER not in frames:
            continue
        stack = frames[frames.index(_LEADER) :]
        # The client is called before each poll, by a function between the server and the poll.
        if not stack[-1].endswith(_CLIENT):
            found[tuple(frame for frame in stack if not frame.endswith(_CLIENT))] += int(count)
    return found
