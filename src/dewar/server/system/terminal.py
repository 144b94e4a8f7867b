"""`Terminal`: whether the terminal that a server was started from is still open."""

import os
import signal


class Terminal:
    """Distinguishes a SIGHUP that a user sent from the one that a closed terminal sends.

    Make it before SIGHUP gets a handler: ``nohup`` ignores SIGHUP, so that the server outlives its
    terminal.
    """

    def __init__(self) -> None:
        hangup = getattr(signal, "SIGHUP", None)
        outlived = hangup is not None and signal.getsignal(hangup) is signal.SIG_IGN
        self._was_there = not outlived and _is_there()

    def __repr__(self) -> str:
        return f"<Terminal{'' if self._was_there else ' without a terminal'}>"

    def has_gone(self) -> bool:
        """Return whether the terminal was open at the start and is closed now."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False  # ENXIO: no terminal controls this process
    return True
