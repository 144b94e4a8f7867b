"""Memory of this process: malloc's arenas and the garbage collector."""

import ctypes
import gc
import sys

# mallopt(3): how many arenas the threads may have.
_M_ARENA_MAX = -8
_ARENAS = 2
# Python's default threshold of the oldest generation, up to 3.13, and the one for a server.
_SELDOM = 10
_MORE_SELDOM = 50


def limit_arenas() -> None:
    """Let the threads of this process share two arenas of malloc.

    glibc gives each thread an arena, so that threads need not wait for each other. Python's threads
    run one at a time, and memory that one of them frees stays in its arena: with sixteen threads
    the memory of a busy server grows for hours. Call it before threads are started. Without glibc
    it does nothing.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # musl has no arenas
    mallopt(_M_ARENA_MAX, _ARENAS)


def freeze_heap() -> None:
    """Exempt all objects that exist now from garbage collection, and collect less often.

    A full collection stops all threads: with some thousand waiting requests, for a tenth of a
    second and several times in a row. Call it when the application is loaded. A collector that the
    program has turned off, or set to other thresholds, is left alone.
    """
    youngest, middle, oldest = gc.get_threshold()
    if gc.isenabled() and oldest == _SELDOM:
        gc.collect()
        gc.freeze()
        gc.set_threshold(youngest, middle, _MORE_SELDOM)
