"""How much memory processes take: `Footprint`, from ``/proc`` on Linux."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_MIB = 1024  # /proc has KiB


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """The memory of one process in MiB.

    Attributes:
        rss: All pages that it has in memory.
        pss: The same, each page divided by the number of processes that have it.
        uss: The pages that no other process has.
    """

    rss: float
    pss: float
    uss: float


def footprint(pid: int) -> Footprint:
    """Return the memory of a process.

    Raises:
        OSError: If there is no such process, or the system does not tell.
    """
    return parse((_PROC / str(pid) / "smaps_rollup").read_text("ascii"))


def parse(rollup: str) -> Footprint:
    """Return the memory that a ``smaps_rollup`` states (proc(5))."""
    fields = (line.split() for line in rollup.splitlines() if line.endswith(" kB"))
    size = {name: int(number) / _MIB for name, number, _ in fields}
    return Footprint(
        rss=size["Rss:"], pss=size["Pss:"], uss=size["Private_Clean:"] + size["Private_Dirty:"]
    )


def family(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants.

    Raises:
        OSError: If there is no such process, or the system does not tell.
    """
    yield pid
    for child in children(pid):
        yield from family(child)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, on any of its threads."""
    tasks = (_PROC / str(pid) / "task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text("ascii").split()]
