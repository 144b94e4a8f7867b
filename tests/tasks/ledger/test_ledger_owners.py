"""Whether a process is still the one it was."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dewar.tasks.ledger import owners
from dewar.tasks.ledger.owners import LedgerOwner, Life, life_of, this_owner

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def owner_of(pid: int) -> LedgerOwner:
    """Return the owner that the process with this pid would be."""
    started = owners._started(pid)
    assert started
    return replace(this_owner(1.0), pid=pid, started=started)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with its input."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield child
    child.kill()
    child.communicate()


def test_each_owner_of_this_process_is_another() -> None:
    """Two runtimes of one process have two leases."""
    one, other = this_owner(1.0), this_owner(1.0)
    assert one.id != other.id
    assert replace(one, id=other.id) == other
    assert one.pid == os.getpid()


@needs_proc
def test_of_this_process_only_the_lease_tells() -> None:
    """A program that replaced itself (exec) has the same pid and start, and other jobs."""
    assert life_of(this_owner(1.0)) is Life.UNKNOWN


@needs_proc
def test_a_process_that_ended_is_dead(process: subprocess.Popen[bytes]) -> None:
    """Both before and after its parent has waited for it."""
    owner = owner_of(process.pid)
    assert life_of(owner) is Life.ALIVE
    process.stdin.close()  # type: ignore[union-attr]
    # Ended, but nobody has waited for it.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert life_of(owner) is Life.DEAD
    process.wait()
    assert life_of(owner) is Life.DEAD


@needs_proc
def test_a_process_that_is_stopped_is_alive(process: subprocess.Popen[bytes]) -> None:
    """It continues with its jobs when it gets SIGCONT."""
    owner = owner_of(process.pid)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    assert life_of(owner) is Life.ALIVE


@needs_proc
def test_another_process_with_the_pid_is_another(process: subprocess.Popen[bytes]) -> None:
    """The start differs."""
    owner = owner_of(process.pid)
    assert life_of(replace(owner, started=owner.started - 1)) is Life.DEAD


@pytest.mark.parametrize(
    "missing", ["/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid", "/proc/self"]
)
def test_without_a_scope_no_pid_is_compared(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers may have the same name; their processes with the same pid are different ones."""
    read, readlink = owners._read, Path.readlink

    def maybe_readlink(path: Path) -> Path:
        if str(path) == missing:
            raise FileNotFoundError
        return readlink(path)

    monkeypatch.setattr(owners, "_read", lambda path: None if path == missing else read(path))
    monkeypatch.setattr(Path, "readlink", maybe_readlink)
    here = this_owner(1.0)
    assert here.host == socket.gethostname()
    assert life_of(replace(here, pid=2**22 + 1)) is Life.UNKNOWN


@needs_proc
def test_elsewhere_nothing_is_known(process: subprocess.Popen[bytes]) -> None:
    """On another host, after another boot and in another namespace, whatever the pid is."""
    owner = owner_of(process.pid)
    host, boot, namespace = owner.host.split(" ")
    scopes = [f"x {boot} {namespace}", f"{host} x {namespace}", f"{host} {boot} pid:[1]", host, ""]
    for scope in scopes:
        assert life_of(replace(owner, host=scope)) is Life.UNKNOWN
        assert life_of(replace(owner, host=scope, pid=2**22 + 1)) is Life.UNKNOWN


@needs_proc
def test_a_process_of_another_user_is_compared_by_its_start(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to be allowed to signal it proves only that some process has the pid."""

    def kill(_pid: int, _signal: int) -> None:
        raise PermissionError

    owner = owner_of(process.pid)
    monkeypatch.setattr(os, "kill", kill)
    assert life_of(owner) is Life.ALIVE
    monkeypatch.setattr(owners, "_started", lambda _pid: None)
    assert life_of(owner) is Life.UNKNOWN


@needs_proc
def test_a_child_is_another_owner() -> None:
    """It has another pid and another start."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        child = pool.apply(this_owner, (1.0,))
        assert child.host == this_owner(1.0).host
        assert child.pid != os.getpid()
        assert life_of(child) is Life.ALIVE
        pool.close()
        pool.join()
    assert life_of(child) is Life.DEAD
