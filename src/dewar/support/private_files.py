"""Files and folders that only their owner can use, whatever the umask is.

SECURITY: in a folder that others may write to, such as ``/tmp``, somebody may have put a symbolic
link where a file is about to be made. None of these functions follows one. A link among the
folders above is followed: whoever can change those has other ways.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_FILE, _FOLDER = 0o600, 0o700
# Windows has no permissions of this kind.
_HAS_MODES = hasattr(os, "geteuid")


class LinkError(OSError):
    """Raised if there is a symbolic link where a file of ours belongs."""

    def __init__(self, path: Path) -> None:
        text = "it is a symbolic link, which is not followed. Remove it, or give the real path"
        super().__init__(errno.ELOOP, text, str(path))


def refuse_link(path: Path) -> None:
    """Do nothing unless *path* is a symbolic link.

    Raises:
        LinkError: It is one.
    """
    if path.is_symlink():
        raise LinkError(path)


def write_private_file(path: Path, text: str) -> None:
    """Put a file with *text* (ASCII) at *path*, in one step: no reader gets a part of it.

    Raises:
        LinkError: There is a symbolic link.
        OSError: The file cannot be made.
    """
    refuse_link(path)
    _place(path, text, os.replace)


def make_private_file(path: Path) -> None:
    """Make an empty file; an existing one is left as it is, but for its permissions.

    It is never opened at *path*: to close it there would release the locks that SQLite has on it
    in this process (https://www.sqlite.org/howtocorrupt.html, section 2.2).

    Raises:
        LinkError: There is a symbolic link.
        OSError: The file cannot be made.
    """
    if not os.path.lexists(path):
        with suppress(FileExistsError):  # another process has made it
            _place(path, "", os.link)
    make_private(path)


def make_private(path: Path) -> None:
    """Take the permissions of others from a file of this user; do nothing if there is none.

    Raises:
        LinkError: There is a symbolic link.
    """
    refuse_link(path)
    if not _HAS_MODES:
        return
    with suppress(FileNotFoundError):
        found = path.lstat()
        loose = stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
        if found.st_uid == os.geteuid() and loose:
            path.chmod(_FILE)


def make_private_folder(path: Path) -> None:
    """Make a folder, and the missing ones above it; one that exists stays as it is."""
    if path.is_dir():
        return
    make_private_folder(path.parent)
    try:
        path.mkdir(_FOLDER)
    except FileExistsError:  # another process has made it
        if not path.is_dir():
            raise
    else:
        path.chmod(_FOLDER)  # the umask may have taken permissions of the owner


def _place(path: Path, text: str, move: Callable[[str, Path], object]) -> None:
    """Write a private file under a name that nobody can guess, and move it to *path*."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        Path(name).chmod(_FILE)  # as above
        move(name, path)
    finally:
        with suppress(FileNotFoundError):  # it was moved
            Path(name).unlink()
