"""The body of a request: in memory while it is small, in a temporary file above the limit."""

import io
import shutil
import tempfile
from contextlib import suppress
from typing import IO

from dewar.server.wire.limits import Limits


class BodyBuffer:
    """The received part of one body.

    Only the thread that reads the connection uses it, until `take` gives the file away.
    """

    __slots__ = ("_file", "_limits", "_spooled", "size")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._file: IO[bytes] = io.BytesIO()
        self._spooled = False
        self.size = 0

    def __repr__(self) -> str:
        return f"<BodyBuffer {self.size} bytes {'on disk' if self._spooled else 'in memory'}>"

    def add(self, data: bytes) -> None:
        """Append *data*.

        Raises:
            OSError: The temporary file cannot be written; the body is lost.
        """
        self.size += len(data)
        if self.size > self._limits.buffered_body and not self._spooled:
            self._spool()
        self._file.write(data)

    def take(self) -> IO[bytes]:
        """Return the whole body as a file at its start; the caller closes it.

        Raises:
            OSError: The last part cannot be written.
        """
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        """Free the memory or the temporary file of a body that nobody will read."""
        with suppress(OSError):  # closing writes the rest, and the disk may be full
            self._file.close()

    def _spool(self) -> None:
        content, self._file = self._file, tempfile.TemporaryFile()  # noqa: SIM115  # see discard
        self._spooled = True
        content.seek(0)
        shutil.copyfileobj(content, self._file)
        content.close()


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

    def take(self, data: bytes, pos: int) -> int:
        """Take the part of `data[pos:]` that belongs to the body; return where it ends.

        Raises:
            OSError: The body cannot be stored.
        """
        piece = data[pos : pos + self._left]
        self.buffer.add(piece)
        self._left -= len(piece)
        return pos + len(piece)


def maybe_length_body(
    data: bytes, pos: int, length: int, limits: Limits
) -> tuple[bytes, int] | None:
    """Return a body that is complete in *data* and stays in memory, and where it ends."""
    end = pos + length
    if end > len(data) or length > limits.buffered_body:
        return None
    return data[pos:end], end
