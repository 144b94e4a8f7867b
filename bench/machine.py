"""The machine: its cores, and which process runs on which."""

import os
import platform
import shutil
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The cores this process may use, and the tool that pins processes to them."""

    cores: tuple[int, ...]
    taskset: str | None
    # The load average of the minute before the bench, if the system provides it.
    load_before: float | None = None

    @property
    def others(self) -> str:
        """The load before the bench, for the header of the table."""
        return "" if self.load_before is None else f", load {self.load_before:.1f} before the run"

    @property
    def is_pinned(self) -> bool:
        """Whether the server and the load generator have a core each."""
        return self.taskset is not None and len(self.cores) > 1

    def pin_server(self) -> list[str]:
        """Return the start of a command that runs on the core of the server."""
        return self._pin(0)

    def pin_load(self) -> list[str]:
        """Return the start of a command that runs on the other core."""
        return self._pin(1)

    def _pin(self, index: int) -> list[str]:
        if self.taskset is None or not self.is_pinned:
            return []
        return [self.taskset, "--cpu-list", str(self.cores[index])]

    def describe(self) -> str:
        """Return a line for the header of the table."""
        count = f"{len(self.cores)} CPU{'s' if len(self.cores) != 1 else ''}"
        return f"{count}, {platform.machine()}, {platform.system()}{self.others}"

    def describe_pinning(self) -> str:
        """Return a line with the core of each process, or why none is pinned."""
        if self.is_pinned:
            return f"server on core {self.cores[0]}, load generator on core {self.cores[1]}"
        if len(self.cores) < 2:
            return "not pinned: there is one core, which the server and the load generator share"
        return "not pinned: taskset is not installed, so servers may use more than one core"


def inspect() -> Machine:
    """Return this machine."""
    if hasattr(os, "sched_getaffinity"):
        cores = tuple(sorted(os.sched_getaffinity(0)))
    else:
        cores = tuple(range(os.cpu_count() or 1))
    load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Machine(cores=cores, taskset=shutil.which("taskset"), load_before=load_before)
