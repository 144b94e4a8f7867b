"""Whether the terminal that a server was started from is still there."""

import os
import signal


class Terminal:
    """Tells a SIGHUP that somebody sent from the one that comes when the terminal is closed.

    Make it before SIGHUP is given a handler: ``nohup`` has it ignored, which is to say that the
    server is to outlive its terminal.
    """

    def __init__(self) -> None:
        hangup = getattr(signal, "SIGHUP", None)
        outlived = hangup is not None and signal.getsignal(hangup) is signal.SIG_IGN
        self._was_there = not outlived and _is_there()

    def __repr__(self) -> str:
        return f"<Terminal{'' if self._was_there else ' of nobody'}>"

    def has_gone(self) -> bool:
        """Return whether it was closed since, so that nobody is left to end the server."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False  # ENXIO: no terminal controls this process
    return True
