"""A log file that many threads and processes append to, and that can be rotated under them."""

import logging
import os
import time

from dewar.server.errors import LogFileError

_logger = logging.getLogger("dewar.server")

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
# A log tells who was where; it is not for all to read.
_MODE = 0o640
# How often a log that cannot be written is mentioned in the other one, in seconds.
_COMPLAINT = 60.0


class LogFile:
    """A file of lines.

    Each line is one ``write`` at the end of the file (``O_APPEND``), so that lines of several
    threads and processes never run into each other. The descriptor's number is the same from
    `open` to `close`: `reopen` puts the new file in its place in one step (``dup2``), so that no
    thread ever finds it closed, or finds another file or a socket under its number.

    Args:
        path: Where it is.

    Raises:
        LogFileError: It cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100 - the application may change the folder
        self._fd = self._open()
        self._complained = -_COMPLAINT

    def __repr__(self) -> str:
        return f"<LogFile {self.path}>"

    def write(self, line: str) -> None:
        """Append *line*. A fault, such as a full disk, is logged and costs the line."""
        data = line.encode("ascii", "backslashreplace") + b"\n"
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                os.write(self._fd, data[written:])
        except OSError as error:
            now = time.monotonic()
            if now - self._complained >= _COMPLAINT:
                self._complained = now
                _logger.error("%r cannot be written: %s", self, error)  # noqa: TRY400 - one line

    def reopen(self) -> None:
        """Go on in the file that now has the path; the one so far was renamed by a rotation.

        Raises:
            LogFileError: It cannot be opened; lines go on into the one so far.
        """
        fresh = self._open()
        os.dup2(fresh, self._fd, inheritable=False)
        os.close(fresh)

    def close(self) -> None:
        """Close the file. Only when no thread writes any more."""
        os.close(self._fd)

    def _open(self) -> int:
        try:
            return os.open(self.path, _FLAGS, _MODE)
        except OSError as error:
            raise LogFileError(self.path, error) from error
