"""How much memory a process has."""

import os
import resource
import sys
from pathlib import Path


def resident_memory() -> int:
    """Return the resident memory of this process, in bytes.

    Where the system does not tell it (macOS), it is the most that the process has had.
    """
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
