"""The file with the id of the process that takes signals.

The process holds a lock on the file (``flock``) until it ends in any way. So a number that another
program has got since then, after a crash or in the next container, is not taken for a server.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from dewar.server.errors import ServerError
from dewar.support.private_files import write_private_file

if sys.platform != "win32":
    import fcntl


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
        self._fd: int | None = None  # open for the lock

    def __repr__(self) -> str:
        return f"<PidFile {self._path}{' held' if self._owner else ''}>"

    def take(self) -> None:
        """Write the id of this process, over that of a process that has ended.

        Raises:
            PidFileError: A server that runs holds the file, or it cannot be written.
        """
        if self._path is None:
            return
        self._check_free(self._path)
        try:
            write_private_file(self._path, f"{os.getpid()}\n")
        except OSError as error:
            raise PidFileError(
                f"The pid file {str(self._path)!r} cannot be written: {error.strerror}. Choose a"
                " folder that exists and that this user owns."
            ) from error
        self._owner = os.getpid()
        self._fd = _maybe_open(self._path)
        if self._fd is not None:
            _try_lock(self._fd)

    def release(self) -> None:
        """Remove the file, if it still has the id of this process."""
        if self._path is None or self._owner != os.getpid():
            return
        self._owner = 0
        fd = _maybe_open(self._path)
        if fd is not None:
            if _maybe_number(fd) == os.getpid():
                with suppress(FileNotFoundError):  # it was removed already
                    self._path.unlink()
            os.close(fd)
        if self._fd is not None:
            os.close(self._fd)

    def _check_free(self, path: Path) -> None:
        fd = _maybe_open(path)
        if fd is None:
            return
        try:
            other = _maybe_number(fd)
            if other is None or not _lives(other) or _try_lock(fd):
                return
        finally:
            os.close(fd)
        # In another container, a server can be 1, or have the number of this process.
        how = "" if other in (1, os.getpid()) else f" with 'kill {other}'"
        raise PidFileError(
            f"Process {other} runs already, according to {str(path)!r}."
            f" Stop it{how}, or give another pid_file."
        )


def _maybe_open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO would block
    except OSError:
        return None


def _maybe_number(fd: int) -> int | None:
    """Return the number in a file; None if there is none, or if it is no file."""
    try:
        return int(os.read(fd, 32))
    except (OSError, ValueError):
        return None


def _try_lock(fd: int) -> bool:
    """Take the lock of a file; return False if another process may have it."""
    try:
        if sys.platform != "win32":
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # also if the file system has no locks: then a number that lives decides
    return True


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
