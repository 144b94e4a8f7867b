"""A process that was started without standard streams."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, sys
from dewar.support.standard_streams import open_closed_streams
if {before}:
    other = os.open(os.devnull, os.O_RDONLY)  # takes the first free number
open_closed_streams()
for name in ("stdin", "stdout", "stderr"):
    stream = getattr(sys, name)
    assert stream is getattr(sys, f"__{{name}}__")
    if stream.writable():
        print("text \\u2026 \\ud800", file=stream, flush=True)
    else:
        stream.read()
found = [os.readlink(f"/proc/self/fd/{{fd}}") if os.path.exists(f"/proc/self/fd/{{fd}}") else "-"
         for fd in range(3)]
os.write({report}, repr((found, sys.stderr.fileno())).encode())
"""


def found(closed: list[int], *, before: bool = False) -> tuple[list[str], int]:
    """Return what is behind the first descriptors of a process, and the number of its stderr."""

    def close() -> None:
        for fd in closed:
            os.close(fd)

    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as report:
        script = SCRIPT.format(before=before, report=theirs)
        subprocess.run(
            [sys.executable, "-c", script], pass_fds=[theirs], check=True, timeout=30,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=close, env={**os.environ, "PYTHONIOENCODING": "utf-8:backslashreplace"},
        )  # fmt: skip
        os.close(theirs)
        return eval(report.read())  # type: ignore[no-any-return]  # of our own script


@pytest.mark.parametrize("closed", [[2], [0], [0, 1, 2], [1, 2]])
def test_a_closed_stream_is_the_null_device(closed: list[int]) -> None:
    """Also for what writes to the descriptor itself; the others are as they were."""
    links, stderr = found(closed)
    assert [links[fd] for fd in closed] == ["/dev/null"] * len(closed)
    assert stderr == 2
    if 1 not in closed:
        assert links[1].startswith("pipe:")


def test_a_descriptor_that_something_else_has_taken_stays() -> None:
    """Then the stream has another one."""
    links, stderr = found([2], before=True)
    assert links[2] == "/dev/null"
    assert stderr > 2
