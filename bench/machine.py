"""The machine: how many cores, and which of them does what."""

import os
import platform
import shutil
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The cores this process may use, and whether they can be given out."""

    cores: tuple[int, ...]
    taskset: str | None
    # How many processes wanted a core in the minute before the bench, where the system tells.
    load_before: float | None = None

    @property
    def others(self) -> str:
        """What else was going on before the bench began, as words for the head of the table."""
        return "" if self.load_before is None else f", load {self.load_before:.1f} before the run"

    @property
    def is_pinned(self) -> bool:
        """Whether server and load generator get a core each."""
        return self.taskset is not None and len(self.cores) > 1

    def pin_server(self) -> list[str]:
        """Return the words to put before a command that shall run on the server's core."""
        return self._pin(0)

    def pin_load(self) -> list[str]:
        """Return the words to put before a command that shall run on the other core."""
        return self._pin(1)

    def _pin(self, index: int) -> list[str]:
        if self.taskset is None or not self.is_pinned:
            return []
        return [self.taskset, "--cpu-list", str(self.cores[index])]

    def describe(self) -> str:
        """Return one line for the head of the table."""
        count = f"{len(self.cores)} CPU{'s' if len(self.cores) != 1 else ''}"
        return f"{count}, {platform.machine()}, {platform.system()}{self.others}"

    def describe_pinning(self) -> str:
        """Return one line that says who runs where, and why nobody is pinned if nobody is."""
        if self.is_pinned:
            return f"server on core {self.cores[0]}, load generator on core {self.cores[1]}"
        if len(self.cores) < 2:
            return "not pinned: there is one core, which server and load generator share"
        return "not pinned: taskset is not installed, so servers may use more than one core"


def inspect() -> Machine:
    """Return this machine."""
    if hasattr(os, "sched_getaffinity"):
        cores = tuple(sorted(os.sched_getaffinity(0)))
    else:
        cores = tuple(range(os.cpu_count() or 1))
    load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return Machine(cores=cores, taskset=shutil.which("taskset"), load_before=load_before)
