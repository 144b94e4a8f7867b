"""`SocketFolder`: the private folder beside an SQLite ledger, with one socket for each process.

SECURITY: the folder is this user's alone. It is opened once and checked, and then used through its
descriptor, so nobody can put another folder or a link in its place between the check and the use.
"""

import os
import stat
from pathlib import Path
from typing import TypeAlias

#: What tells a folder from another one, and from itself before a socket came or went.
Version: TypeAlias = tuple[int, int, int]

_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
#: Through it, a path into an open folder is short: that of a socket has 108 bytes (unix(7)).
_DESCRIPTORS = "/proc/self/fd"


class SocketFolder:
    """A folder of this user. One thread at a time may use it.

    Args:
        path: Its path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<SocketFolder {self._path}>"

    def make(self) -> None:
        """Make the folder if it is missing.

        Raises:
            OSError: It cannot be made.
        """
        if not os.path.lexists(self._path):
            try:
                self._path.mkdir(stat.S_IRWXU)
            except FileExistsError:  # another process has made it
                return
            self._path.chmod(stat.S_IRWXU)  # the umask may have taken permissions of the owner

    def maybe_version(self) -> Version | None:
        """Return the version of the folder at its path, which changes with each name in it.

        PERF: each commit asks for it.
        """
        try:
            found = os.lstat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns

    def open(self) -> bool:
        """Open the folder that is at the path now; return false if it was open already.

        Raises:
            OSError: There is none, or it is a link, or not private.
        """
        found = os.lstat(self._path)
        if self._fd is not None and self._identity == (found.st_dev, found.st_ino):
            return False
        self.close()
        fd = os.open(self._path, _FLAGS)
        try:
            self._identity = _check(fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def names(self) -> list[str]:
        """Return the names in the folder, which is open."""
        return os.listdir(self._opened)  # noqa: PTH208  # a Path has no descriptor

    def address(self, name: str) -> str:
        """Return the address of a socket in the folder, which is open."""
        if os.path.exists(f"{_DESCRIPTORS}/{self._opened}"):  # noqa: PTH110  # no Path for each
            return f"{_DESCRIPTORS}/{self._opened}/{name}"
        return str(self._path / name)

    def rename(self, name: str, to: str) -> None:
        """Give a name in the folder another one."""
        os.rename(name, to, src_dir_fd=self._opened, dst_dir_fd=self._opened)

    def remove(self, name: str) -> None:
        """Remove a name from the folder."""
        os.unlink(name, dir_fd=self._opened)

    def close(self) -> None:
        """Close the folder; `open` opens it again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    @property
    def _opened(self) -> int:
        if self._fd is None:
            raise FileNotFoundError(str(self._path))
        return self._fd


def _check(fd: int) -> tuple[int, int]:
    """Make an open folder private; return what tells it from another one."""
    opened = os.fstat(fd)
    if opened.st_uid != os.geteuid():
        raise PermissionError("the folder of the sockets belongs to another user")
    if stat.S_IMODE(opened.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        os.fchmod(fd, stat.S_IRWXU)
    return opened.st_dev, opened.st_ino
