"""How this process gets memory, and how garbage is looked for in it."""

import ctypes
import gc
import sys

# mallopt(3): how many pools of memory threads may have.
_M_ARENA_MAX = -8
_ARENAS = 2
# What Python begins with for the oldest objects, up to 3.13, and what a server has in its place.
_SELDOM = 10
_MORE_SELDOM = 50


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


def freeze_heap() -> None:
    """Have the garbage collector pass over what is there before the first request.

    It stops all threads while it looks at everything: with some thousand requests that wait, for
    a tenth of a second and several times in a row. What the application consists of is not looked
    at again from here on, and all the rest less often. Call it when the application is loaded. A
    collector that the program has turned off, or set otherwise, is left alone.
    """
    youngest, middle, oldest = gc.get_threshold()
    if gc.isenabled() and oldest == _SELDOM:
        gc.collect()
        gc.freeze()
        gc.set_threshold(youngest, middle, _MORE_SELDOM)
