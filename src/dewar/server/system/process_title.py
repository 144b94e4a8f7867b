"""The title of a process in ``ps`` and ``top``."""

import sys
from contextlib import suppress

_PR_SET_NAME = 15  # prctl(2)


def set_title(text: str) -> None:
    """Set the title of this process to *text*.

    With the library setproctitle it replaces the command line. Without it, Linux has room for 15
    bytes, which ``top`` and ``ps -o comm`` show.
    """
    try:
        import setproctitle
    except ImportError:
        if sys.platform == "linux":
            _set_name(text)
        return
    setproctitle.setproctitle(text)


def _set_name(text: str) -> None:
    import ctypes

    with suppress(OSError, AttributeError):  # another C library has no prctl
        name = ctypes.create_string_buffer(text.encode()[:15])
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name, 0, 0, 0)
