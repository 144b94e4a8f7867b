"""Who has jobs: a process, known again by where it runs, its number and when it began."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from dewar.tasks.ledger.ids import new_id

#: Of ``/proc/<pid>/stat``, behind the name in brackets: the start, in ticks since the boot
#: (proc(5), field 22).
_START_FIELD = 19


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerOwner:
    """A process that has jobs.

    `host` says where `pid` is the number of this process and no other: the host's name, its boot
    and the namespace of process numbers. `started` is when the process began, in ticks since the
    boot; 0 where the system doesn't tell.
    """

    id: str
    host: str
    pid: int
    started: float


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnerRecord:
    """An owner as the ledger has it, with the time at which its lease runs out."""

    id: str
    host: str
    pid: int
    started: float
    lease_until: float


def this_owner(now: float) -> LedgerOwner:
    """Return a new owner for this process; one forked from it needs another.

    Args:
        now: Seconds since the epoch.
    """
    pid = os.getpid()
    return LedgerOwner(id=new_id(now), host=_host(), pid=pid, started=_started(pid) or 0.0)


def is_alive(owner: LedgerOwner | OwnerRecord) -> bool:
    """Return False only where the owner's process is known to be gone.

    That can be known on the same host, boot and namespace alone. Elsewhere its lease must run out.
    """
    if owner.host != _host() or os.name != "posix":
        return True
    if not _exists(owner.pid):
        return False
    # Another process may have the number by now.
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
    """Return when a process began, in ticks since the boot; None where nobody tells.

    A process that has ended and was not yet waited for did not begin at all: it is as good as gone.
    """
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    # The name may hold anything, brackets and blanks too.
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
