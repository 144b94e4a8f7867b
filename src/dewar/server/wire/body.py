"""The body of a request: in memory while it is small, in a temporary file above the limit."""

import io
from contextlib import suppress
from typing import IO

from dewar.server.wire.limits import Limits
from dewar.server.wire.storage import BodyStorage, DiskFile, MemoryFile


class BodyBuffer:
    """The received part of one body.

    Only the thread that reads the connection uses it, until `take` gives the file away.

    Args:
        limits: How much of it stays in memory.
        storage: The room that it shares with all others.

    Attributes:
        size: The bytes received so far.
        app_limit: How many bytes of the body the application takes; None as long as it was not
            asked. The owner of the reader sets it.
    """

    __slots__ = ("_file", "_limits", "_storage", "app_limit", "size")

    def __init__(self, limits: Limits, storage: BodyStorage) -> None:
        self._limits = limits
        self._storage = storage
        # PERF: made when it is needed. Most bodies come in one piece behind their head.
        self._file: MemoryFile | DiskFile | None = None
        self.size = 0
        self.app_limit: int | None = None

    def __repr__(self) -> str:
        place = "on disk" if type(self._file) is DiskFile else "in memory"
        return f"<BodyBuffer {self.size} bytes {place}>"

    def add(self, data: bytes, left: int = 0) -> None:
        """Append *data*; *left* more bytes are known to follow.

        Raises:
            Refusal: There is no room for it.
            OSError: The temporary file cannot be written; the body is lost.
        """
        self.size += len(data)
        file = self._opened()
        if type(file) is MemoryFile:
            if self.size <= self._limits.buffered_body and file.try_append(data):
                return
            file = self._spooled(file, self.size + left)
        if not file.try_append(data):
            raise self._storage.refusal(self.size + left)

    def try_fill(self, data: bytes) -> bool:
        """Take a whole body in one piece that stays in memory; return whether it is one.

        PERF: it is not counted, as it does not wait for anything.
        """
        if self.size or len(data) > self._limits.buffered_body:
            return False
        self.size = len(data)
        self._file = io.BytesIO(data)  # type: ignore[assignment]  # it is only read and closed
        return True

    def take(self) -> IO[bytes]:
        """Return the whole body as a file at its start; the caller closes it.

        Raises:
            OSError: The last part cannot be written.
        """
        file = self._opened()
        file.seek(0)
        return file

    def peek(self, start: int, count: int) -> bytes:
        """Return at most *count* of the received bytes from *start* on.

        Raises:
            OSError: The temporary file cannot be used.
        """
        file = self._opened()
        file.seek(start)
        data = file.read(count)
        file.seek(0, io.SEEK_END)
        return data

    def discard(self) -> None:
        """Free the memory or the temporary file of a body that nobody will read."""
        if self._file is not None:
            with suppress(OSError):  # closing writes the rest, and the disk may be full
                self._file.close()

    def _opened(self) -> MemoryFile | DiskFile:
        if self._file is None:
            self._file = self._storage.open_memory()
        return self._file

    def _spooled(self, content: MemoryFile, size: int) -> DiskFile:
        file = self._file = self._storage.open_disk(size)
        with content:
            if not file.try_append(content.getvalue()):
                raise self._storage.refusal(size)
        return file


class LengthBody:
    """Takes as many bytes as Content-Length says (RFC 9112 §6.2).

    Args:
        buffer: Where the content goes.
        length: The number of bytes, above zero.
    """

    __slots__ = ("_left", "buffer")

    def __init__(self, buffer: BodyBuffer, length: int) -> None:
        self.buffer = buffer
        self._left = length

    def __repr__(self) -> str:
        return f"<LengthBody {self._left} bytes to come>"

    @property
    def is_ended(self) -> bool:
        """Whether the body is complete."""
        return not self._left

    @property
    def known_size(self) -> int:
        """The bytes of the whole body."""
        return self.buffer.size + self._left

    def take(self, data: bytes, pos: int) -> int:
        """Take the part of `data[pos:]` that belongs to the body; return where it ends.

        Raises:
            Refusal: There is no room for the body.
            OSError: The body cannot be stored.
        """
        piece = data[pos : pos + self._left]
        self._left -= len(piece)
        if self._left or not self.buffer.try_fill(piece):
            self.buffer.add(piece, self._left)
        return pos + len(piece)


def maybe_length_body(
    data: bytes, pos: int, length: int, limits: Limits
) -> tuple[bytes, int] | None:
    """Return a body that is complete in *data* and stays in memory, and where it ends."""
    end = pos + length
    if end > len(data) or length > limits.buffered_body:
        return None
    return data[pos:end], end
