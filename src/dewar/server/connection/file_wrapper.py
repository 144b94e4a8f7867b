"""``wsgi.file_wrapper`` (PEP 3333, Optional Platform-Specific File Handling)."""

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

# What reads exactly the bytes of its descriptor. Others have a ``fileno`` too, but it is that of
# something else: a GzipFile's is of the compressed file.
_PLAIN = (io.FileIO, io.BufferedReader, io.BufferedRandom)


class Span(NamedTuple):
    """The rest of a file from its position on: its descriptor, and bytes."""

    fd: int
    offset: int
    size: int


class FileWrapper:
    """Iterates over a file in blocks and closes it at the end.

    Where the application returns it as it is, the kernel may send the file (`maybe_span`). For
    those who take a part of it, it has the ``seekable``, ``seek`` and ``tell`` of the file.
    """

    def __init__(self, file: IO[bytes], block_size: int = 65536) -> None:
        self._file = file
        self._block_size = block_size

    def __repr__(self) -> str:
        return f"<FileWrapper of {self._file!r}>"

    def __iter__(self) -> Iterator[bytes]:
        # Not a generator: closing that would not close the file.
        return self

    def __next__(self) -> bytes:
        block = self._file.read(self._block_size)
        if not block:
            raise StopIteration
        return block

    def seekable(self) -> bool:
        """Return whether the file has positions."""
        seekable = getattr(self._file, "seekable", None)
        return seekable() if seekable is not None else hasattr(self._file, "seek")

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()

    def maybe_span(self) -> Span | None:
        """Return what is left of the file; None where it is not a plain file on a disk."""
        file: Any = self._file
        if isinstance(file, tempfile._TemporaryFileWrapper):  # noqa: SLF001  # no public name
            file = file.file
        if type(file) not in _PLAIN or not hasattr(os, "sendfile"):
            return None
        try:
            fd = file.fileno()
            status = os.fstat(fd)
            offset = file.tell()
        except (OSError, ValueError):
            return None  # closed, or of a kind of its own; reading it will tell
        if not stat.S_ISREG(status.st_mode):
            return None
        return Span(fd, offset, max(0, status.st_size - offset))

    def close(self) -> None:
        """Close the file, if it can be."""
        close = getattr(self._file, "close", None)
        if close is not None:
            close()
