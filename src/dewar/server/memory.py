"""How the C library hands out memory to this process."""

import ctypes
import sys

# mallopt(3): how many pools of memory threads may have.
_M_ARENA_MAX = -8
_ARENAS = 2


def limit_arenas() -> None:
    """Have the threads of this process share their pools of memory.

    glibc gives each thread a pool, so that they need not wait for one another. Python's threads run
    one at a time, and what one of them frees stays with its pool: with sixteen threads the memory
    of a busy server grows for hours. Call it before threads are started; elsewhere than on glibc
    it does nothing.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # musl has no such pools
    mallopt(_M_ARENA_MAX, _ARENAS)
