"""Orphans are waited for by process 1, and nobody else's children are."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faulttools import COMMON, Running, gate, is_alive
from polling import eventually

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl and namespaces of Linux")

#: A process that inherits orphans though it is not the first one.
ADOPTS = """
import ctypes, os, subprocess, sys, time
from dewar.server.processes.orphans import OrphanReaper, _children
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER

def ended(status):
    "Return a child of this process that has ended and that nobody has waited for."
    child = subprocess.Popen(["sh", "-c", f"exit {status}"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    return child

def orphan():
    "Return an orphan that has ended, after its parent."
    script = "exec 3<&0; cat <&3 >&2 & echo $!"  # a shell may wait for one that ends before
    pipe = subprocess.PIPE
    parent = subprocess.Popen(["sh", "-c", script], stdin=pipe, stdout=pipe)
    pid = int(parent.stdout.readline())
    parent.wait()
    parent.stdin.close()
    while pid in _children() and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT):
        pass
    return pid
"""


def run_script(text: str) -> None:
    """Run a test in a process of its own, which inherits orphans."""
    subprocess.run([sys.executable, "-c", ADOPTS + text], check=True, timeout=30)


@linux
def test_an_orphan_is_reaped() -> None:
    """All that have ended at a time are."""
    run_script("""
reaper = OrphanReaper()
pids = {orphan(), orphan()}
assert pids <= _children()
reaper.reap([])
assert not pids & _children()
reaper.reap([])
""")


@linux
def test_the_status_of_another_child_is_not_taken() -> None:
    """Neither of one that the caller waits for, nor of one that was there before."""
    run_script("""
before = ended(3)
reaper = OrphanReaper()
reaper.reap([])
assert before.wait() == 3
known = ended(4)
reaper.reap([known.pid])
assert known.wait() == 4
late = orphan()
reaper.reap([])
assert late not in _children()
""")


def can_unshare() -> bool:
    """Return whether this user can make a namespace of processes."""
    command = ["unshare", "--pid", "--fork", "true"]
    return (
        shutil.which("unshare") is not None and not subprocess.run(command, check=False).returncode
    )


@linux
def test_the_first_process_of_a_container_reaps_what_views_leave(tmp_path: Path) -> None:
    """A server of one process too; a child of the view keeps its status."""
    if not can_unshare():
        pytest.skip("needs unshare, and the right to use it: run this test as root")
    script = f"""{COMMON}
import subprocess
def leaving(environ, start_response):
    if environ["QUERY_STRING"]:
        command = f"(read line < {{environ['QUERY_STRING']}}) & exit 7"
        line(f"status {{subprocess.run(['sh', '-c', command]).returncode}}")
    return app(environ, start_response)
run(load=lambda: leaving, bind="127.0.0.1:0", name="the app", threads=2)
"""
    server = Running(script, wrapper=("unshare", "--pid", "--fork", "--kill-child"))
    with gate(tmp_path) as (path, _):
        try:
            server.wait_ready()
            [init] = server.workers()

            def children() -> int:
                return len(Path(f"/proc/{init}/task/{init}/children").read_text().split())

            assert children() == 1
            assert server.ask(f"/?{path}") == "here"
            server.wait_line("status 7")
            eventually(lambda: children() == 2)
            # Not by closing the gate: the shell may not have opened it yet, and would wait on.
            Path(path).write_text("\n")
            eventually(lambda: children() == 1)
            os.kill(init, signal.SIGTERM)
            assert server.wait_end() == 0
            assert not is_alive(init)
        finally:
            server.close()
