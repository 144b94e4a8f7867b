"""What this process has open, so that a test sees what was left open."""

import contextlib
from collections import Counter
from pathlib import Path


def open_files() -> Counter[str]:
    """Return how often each file is open, by the system's name of it; empty if not on Linux.

    Each socket and pipe has a number in its name. So ``not open_files() - before`` says that
    nothing was left open, also if something of an earlier test was closed meanwhile.
    """
    found: Counter[str] = Counter()
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # the one of this listing
            found[str(entry.readlink())] += 1
    return found
