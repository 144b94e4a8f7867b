"""The owners of jobs: processes, identified by their host, pid and start time."""

import os
import socket
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dewar.tasks.ledger.ids import new_id

#: The field of ``/proc/<pid>/stat`` with the start in ticks since the boot, counted after the name
#: in brackets (proc(5), field 22).
_START_FIELD = 19


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerOwner:
    """A process that has jobs.

    `host` is the scope in which `pid` is unique: the host's name, its boot and its pid namespace.
    `started` is the start of the process in ticks since the boot; 0 if the system does not have it.
    """

    id: str
    host: str
    pid: int
    started: float


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnerRecord:
    """An owner in the ledger, with the time at which its lease runs out."""

    id: str
    host: str
    pid: int
    started: float
    lease_until: float


class Life(Enum):
    """What this process knows of another one."""

    ALIVE = "its pid and its start are those of a process that exists"
    DEAD = "its pid, on this host, belongs to no process or to another one"
    UNKNOWN = "it is on another host, or the system does not tell"


def this_owner(now: float) -> LedgerOwner:
    """Return a new owner for this process; a forked child needs a new one.

    Args:
        now: Seconds since the epoch.
    """
    pid = os.getpid()
    host = _maybe_scope() or socket.gethostname()
    return LedgerOwner(id=new_id(now), host=host, pid=pid, started=_started(pid) or 0.0)


def life_of(owner: LedgerOwner | OwnerRecord) -> Life:
    """Return whether the owner's process is alive. A process that is stopped or busy is alive.

    It is known only on the same host, boot and namespace, by the pid and the start. A zombie is
    dead: its jobs are not running.
    """
    if owner.host != _maybe_scope():
        return Life.UNKNOWN
    if not _exists(owner.pid):
        return Life.DEAD
    started = _started(owner.pid)
    if started is None or not owner.started:
        # A process of another user may hide its start, and another one may have this pid by now.
        return Life.UNKNOWN
    if started != owner.started:
        return Life.DEAD
    # A program that replaced itself (exec) keeps both, and has forgotten its jobs. Its silence
    # tells it from other runtimes of this process, which are silent only if this one is too.
    return Life.UNKNOWN if owner.pid == os.getpid() else Life.ALIVE


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _started(pid: int) -> float | None:
    """Return the start of a process in ticks since the boot; None if it cannot be read.

    For a zombie it is -1, which equals no start: its jobs are not running.
    """
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    # The name may have brackets and blanks in it.
    fields = stat.rpartition(")")[2].split()
    is_zombie = fields[0] in {"Z", "X"}
    return -1.0 if is_zombie else float(fields[_START_FIELD])


def _maybe_scope() -> str | None:
    """Return the name of the scope in which a pid means one process; None if it is not known.

    Containers may share a host's name and a volume with the ledger, but not a pid namespace.
    Without a boot id, a namespace and a ``/proc`` of this namespace a pid proves nothing.
    """
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        namespace = Path("/proc/self/ns/pid").readlink()
        is_own = str(Path("/proc/self").readlink()) == str(os.getpid())
    except OSError:
        return None
    return f"{socket.gethostname()} {boot.strip()} {namespace}" if boot and is_own else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return None
