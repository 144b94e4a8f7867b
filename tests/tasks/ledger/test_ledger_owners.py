"""Whether a process is still the one it was."""

import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dewar.tasks.ledger import owners
from dewar.tasks.ledger.owners import is_alive, this_owner

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def test_this_process_is_alive() -> None:
    """Each asking makes another owner, of the same process."""
    one, other = this_owner(1.0), this_owner(1.0)
    assert is_alive(one)
    assert one.id != other.id
    assert replace(one, id=other.id) == other
    assert one.pid == os.getpid()


@needs_proc
def test_a_process_that_ended_is_not_alive() -> None:
    """Neither before nor after its parent has waited for it."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = owners._started(process.pid)
    assert started
    owner = replace(this_owner(1.0), pid=process.pid, started=started)
    assert is_alive(owner)
    process.stdin.close()  # type: ignore[union-attr]
    # Ended, but nobody has waited for it.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(owner)
    process.wait()
    assert not is_alive(owner)


@needs_proc
def test_another_process_with_the_number_is_another() -> None:
    """The start time differs."""
    owner = this_owner(1.0)
    assert not is_alive(replace(owner, started=owner.started - 1))


def test_where_nothing_can_be_known_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another host, boot or namespace, or if the system does not have the start."""
    owner = this_owner(1.0)
    assert is_alive(replace(owner, host="elsewhere", pid=2**22 + 1))
    monkeypatch.setattr(owners, "_read", lambda _path: None)
    here = this_owner(1.0)
    assert here.started == 0.0
    assert is_alive(here)
    assert not is_alive(replace(here, pid=2**22 + 1))


def test_a_process_of_somebody_else_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to be allowed to signal it says that it is there."""

    def kill(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    assert is_alive(this_owner(1.0))


@needs_proc
def test_a_child_is_another_owner() -> None:
    """It has another pid and another start."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        child = pool.apply(this_owner, (1.0,))
        assert child.host == this_owner(1.0).host
        assert child.pid != os.getpid()
        assert is_alive(child)
        pool.close()
        pool.join()
    assert not is_alive(child)
