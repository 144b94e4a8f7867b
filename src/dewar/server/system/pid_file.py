"""The file with the number of the process that takes signals."""

import os
from contextlib import suppress
from pathlib import Path

from dewar.server.errors import ServerError


class PidFileError(ServerError, OSError):
    """Raised when the pid file cannot be written, or another server is running by it."""


class PidFile:
    """Holds a pid file from `take` to `release`.

    Args:
        path: Where it is, or None for no file.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._owner = 0

    def __repr__(self) -> str:
        return f"<PidFile {self._path}{' held' if self._owner else ''}>"

    def take(self) -> None:
        """Write this process's number; a number that nobody has any more is replaced.

        Raises:
            PidFileError: A process of that number lives, or the file cannot be written.
        """
        if self._path is None:
            return
        other = self._read()
        if other is not None and other != os.getpid() and _lives(other):
            raise PidFileError(
                f"Process {other} runs already, says {str(self._path)!r}. Stop it with"
                f" 'kill {other}', or give another pid_file."
            )
        # By a rename, so that nobody ever reads half a number.
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            fresh.write_text(f"{os.getpid()}\n", encoding="ascii")
            fresh.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            raise PidFileError(
                f"The pid file {str(self._path)!r} cannot be written: {error.strerror}. Choose a"
                " folder that is there and belongs to this user."
            ) from error
        self._owner = os.getpid()

    def release(self) -> None:
        """Remove the file, if it is still this process's."""
        if self._path is None or self._owner != os.getpid():
            return
        self._owner = 0
        if self._read() == os.getpid():
            with suppress(FileNotFoundError):  # somebody has tidied up already
                self._path.unlink()

    def _read(self) -> int | None:
        """Return the number in the file; None where there is no file, or no number in it."""
        if self._path is None:
            return None
        try:
            return int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def _lives(pid: int) -> bool:
    if os.name == "nt" or pid <= 0:
        return False  # there os.kill() would end the process that it asks after
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
