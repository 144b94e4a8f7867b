"""The owners of jobs: processes, identified by their host, pid and start time."""

import os
import socket
from dataclasses import dataclass
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


def this_owner(now: float) -> LedgerOwner:
    """Return a new owner for this process; a forked child needs a new one.

    Args:
        now: Seconds since the epoch.
    """
    pid = os.getpid()
    return LedgerOwner(id=new_id(now), host=_host(), pid=pid, started=_started(pid) or 0.0)


def is_alive(owner: LedgerOwner | OwnerRecord) -> bool:
    """Return False only if the owner's process is known to be dead.

    That is only known on the same host, boot and namespace. Elsewhere its lease has to run out.
    """
    if owner.host != _host() or os.name != "posix":
        return True
    if not _exists(owner.pid):
        return False
    # Another process may have this pid by now.
    started = _started(owner.pid)
    return started is None or not owner.started or started == owner.started


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
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


def _host() -> str:
    boot = _read("/proc/sys/kernel/random/boot_id") or ""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {boot.strip()} {namespace}"


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return None
