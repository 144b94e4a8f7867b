"""gunicorn's ``daemon``: a process that goes on in the background."""

import os
import sys


def detach() -> None:
    """Continue in a new session without a terminal; the process that the user started ends.

    The process is not the leader of its session, so that it never gets a terminal. Its standard
    streams lead nowhere. Call it before the first thread starts, because threads do not come along.

    Raises:
        OSError: The system has no room for another process.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _continue_in_child()
    os.setsid()
    _continue_in_child()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    if nowhere > 2:
        os.close(nowhere)


def _continue_in_child() -> None:
    if os.fork():
        os._exit(0)
