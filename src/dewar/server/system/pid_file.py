"""The file with the id of the process that takes signals."""

import os
from contextlib import suppress
from pathlib import Path

from dewar.server.errors import ServerError
from dewar.support.private_files import write_private_file


class PidFileError(ServerError, OSError):
    """Raised when the pid file cannot be written, or another server that runs has written it."""


class PidFile:
    """Holds a pid file from `take` to `release`.

    Args:
        path: The path of the file, or None for no file.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._owner = 0

    def __repr__(self) -> str:
        return f"<PidFile {self._path}{' held' if self._owner else ''}>"

    def take(self) -> None:
        """Write the id of this process, over that of a process that has ended.

        Raises:
            PidFileError: A process with the id in the file runs, or the file cannot be written.
        """
        if self._path is None:
            return
        other = self._read()
        if other is not None and other != os.getpid() and _lives(other):
            raise PidFileError(
                f"Process {other} runs already, according to {str(self._path)!r}. Stop it with"
                f" 'kill {other}', or give another pid_file."
            )
        try:
            write_private_file(self._path, f"{os.getpid()}\n")
        except OSError as error:
            raise PidFileError(
                f"The pid file {str(self._path)!r} cannot be written: {error.strerror}. Choose a"
                " folder that exists and that this user owns."
            ) from error
        self._owner = os.getpid()

    def release(self) -> None:
        """Remove the file, if it still has the id of this process."""
        if self._path is None or self._owner != os.getpid():
            return
        self._owner = 0
        if self._read() == os.getpid():
            with suppress(FileNotFoundError):  # it was removed already
                self._path.unlink()

    def _read(self) -> int | None:
        """Return the number in the file; None without a file or a number."""
        if self._path is None:
            return None
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _lives(pid: int) -> bool:
    if os.name == "nt" or pid <= 0:
        return False  # os.kill() would end the process on Windows
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
