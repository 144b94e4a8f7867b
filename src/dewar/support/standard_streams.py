"""The standard streams of a process that was started without them: by ``2>&-``, or a bare init."""

import os
import sys

_STREAMS = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def open_closed_streams() -> None:
    """Open the null device in the place of each standard stream that is closed.

    Else Python has None there, which nobody expects; and the next socket gets the descriptor, so
    that a client would receive what a library in C writes to it. Call this before others open
    files.
    """
    for number, name, mode in _STREAMS:
        if getattr(sys, name) is not None:
            continue
        fd = os.open(os.devnull, os.O_RDWR)
        if fd != number and _is_closed(number):
            os.dup2(fd, number)
            os.close(fd)
            fd = number
        os.set_inheritable(fd, fd == number)
        stream = open(fd, mode, encoding="utf-8", errors="backslashreplace")  # noqa: PTH123, SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)  # else it would be closed with the last reference


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False
