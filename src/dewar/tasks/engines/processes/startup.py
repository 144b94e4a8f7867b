"""When a process is started again that did not start, or died before it was ready."""

import errno

# The seconds until a process is started again, after one, two or three in a row that died before
# they were ready. The fourth is the last.
_STARTUP_PAUSES = (0.1, 0.3, 1.0)
MAX_STARTUP_FAILURES = len(_STARTUP_PAUSES) + 1
# What the system may be short of for a moment: processes, memory, descriptors.
_SHORTAGES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
#: The seconds until the next try in a shortage.
SHORTAGE_PAUSE = 1.0


def startup_pause(failures: int) -> float:
    """Return the seconds until a process is started again.

    Args:
        failures: The processes in a row that died before they were ready, from 1 on.
    """
    return _STARTUP_PAUSES[min(failures, len(_STARTUP_PAUSES)) - 1]


def is_shortage(error: Exception) -> bool:
    """Return whether the system lacks what a process needs, which is no fault of the pool's."""
    return isinstance(error, OSError) and error.errno in _SHORTAGES
