"""``wsgi.file_wrapper`` (PEP 3333, Optional Platform-Specific File Handling)."""

import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

# Types that read exactly the bytes of their descriptor. The ``fileno`` of other types is that of
# another file: a GzipFile has that of the compressed file.
_PLAIN = (io.FileIO, io.BufferedReader, io.BufferedRandom)


class Span(NamedTuple):
    """The rest of a file from its position on: the descriptor, and the bytes."""

    fd: int
    offset: int
    size: int


class FileWrapper:
    """Iterates over a file in blocks and closes it at the end.

    If the application returns it unchanged, the kernel may send the file (`maybe_span`). For code
    that sends a part of it, it has the ``seekable``, ``seek`` and ``tell`` of the file.
    """

    def __init__(self, file: IO[bytes], block_size: int = 65536) -> None:
        self._file = file
        self._block_size = block_size
        self._left = sys.maxsize

    def __repr__(self) -> str:
        return f"<FileWrapper of {self._file!r}>"

    def __iter__(self) -> Iterator[bytes]:
        # Not a generator, because closing a generator would not close the file.
        return self

    def __next__(self) -> bytes:
        block = self._file.read(min(self._block_size, self._left))
        if not block:
            raise StopIteration
        self._left -= len(block)
        return block

    def limit(self, count: int) -> None:
        """End after *count* more bytes: the response declares no more."""
        self._left = count

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
        """Return the rest of the file; None if it is not a regular file."""
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
            return None  # closed, or unusual; reading it raises the error
        if not stat.S_ISREG(status.st_mode):
            return None
        return Span(fd, offset, max(0, status.st_size - offset))

    def close(self) -> None:
        """Close the file, if it has a ``close``."""
        close = getattr(self._file, "close", None)
        if close is not None:
            close()
