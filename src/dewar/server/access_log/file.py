"""`LogFile`: a file that many threads and processes append to, and that can be rotated."""

import logging
import os
import time

from dewar.server.errors import LogFileError
from dewar.support.bounded_log import BoundedLog

_logger = logging.getLogger("dewar.server")

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
# A log has personal data; other users of the system may not read it.
_MODE = 0o640


class LogFile:
    """A file of lines.

    Lines are added by one ``write`` at the end of the file (``O_APPEND``), so that those of several
    threads and processes never mix. The descriptor stays the same from start to `close`: `reopen`
    replaces its file in one step (``dup2``), so that no thread finds it closed, or finds another
    file or a socket behind it.

    Args:
        path: The path of the file.

    Raises:
        LogFileError: It cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)  # noqa: PTH100 - the application may change the folder
        self._fd = self._open()
        self._bounded_log = BoundedLog(_logger, time.monotonic)

    def __repr__(self) -> str:
        return f"<LogFile {self.path}>"

    def write(self, text: str) -> None:
        """Append one or more lines; the last one has no end.

        On a failure, such as a full disk, they are lost; that is logged.
        """
        data = text.encode("ascii", "backslashreplace") + b"\n"
        try:
            written = os.write(self._fd, data)
            if written != len(data):
                os.write(self._fd, data[written:])
        except OSError as error:
            self._bounded_log.warn("%r cannot be written: %s", self, error)

    def reopen(self) -> None:
        """Open the path again, after a rotation has renamed the file.

        Raises:
            LogFileError: It cannot be opened; the current file stays open.
        """
        fresh = self._open()
        os.dup2(fresh, self._fd, inheritable=False)
        os.close(fresh)

    def close(self) -> None:
        """Close the file, after the last thread has written."""
        os.close(self._fd)

    def _open(self) -> int:
        try:
            return os.open(self.path, _FLAGS, _MODE)
        except OSError as error:
            raise LogFileError(self.path, error) from error
