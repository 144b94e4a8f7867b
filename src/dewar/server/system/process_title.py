"""The name by which ``ps`` and ``top`` show a process."""

import sys
from contextlib import suppress

_PR_SET_NAME = 15  # prctl(2)


def set_title(text: str) -> None:
    """Show this process as *text*.

    With the library setproctitle it stands in the place of the command line. Without it Linux has
    room for 15 bytes, which is what ``top`` and ``ps -o comm`` show.
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

    with suppress(OSError, AttributeError):  # another C library: the title is no more than a help
        name = ctypes.create_string_buffer(text.encode()[:15])
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name, 0, 0, 0)
