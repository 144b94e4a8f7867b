"""Orphans: the processes that process 1 of a container inherits when their parents end.

Nobody else waits for them: without that they stay as zombies and fill the table of processes.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


def is_init() -> bool:
    """Return whether this process is the first one, which inherits orphans."""
    return os.getpid() == 1


class OrphanReaper:
    """Waits for orphans, and for no child that somebody else waits for.

    Make it when the process has those children that its program waits for, and no orphans.
    """

    def __init__(self) -> None:
        self._own = _children()

    def __repr__(self) -> str:
        return f"<OrphanReaper beside {len(self._own)} children>"

    def reap(self, known: Collection[int]) -> None:
        """Wait for the orphans that have ended.

        Args:
            known: The children that the caller waits for. If one of them has ended meanwhile, the
                rest is left to the next call.
        """
        with suppress(ChildProcessError):  # there is no child left
            while True:
                # WNOWAIT: look first, because a status can be taken once.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_pid in known or ended.si_pid in self._own:
                    return
                os.waitpid(ended.si_pid, os.WNOHANG)


def _children() -> frozenset[int]:
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found.update(map(int, path.read_text().split()))
    return frozenset(found)
