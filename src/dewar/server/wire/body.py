"""A request's body: in memory while it is small, in a temporary file past the limit."""

import io
import shutil
import tempfile
from contextlib import suppress
from typing import IO

from dewar.server.wire.limits import Limits


class EmptyBody(io.RawIOBase):
    """The ``wsgi.input`` of every request without a body.

    It has no state, so that all requests can share one: reading gives ``b""``, closing nothing.
    """

    def readable(self) -> bool:
        """Tell that reading is allowed."""
        return True

    def readinto(self, buffer: object) -> int:  # noqa: ARG002 - there is never anything to copy
        """Read nothing."""
        return 0

    def read(self, size: int = -1, /) -> bytes:  # noqa: ARG002
        """Return ``b""``: the body has ended."""
        return b""

    def readline(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002
        """Return ``b""``: the body has ended."""
        return b""

    def close(self) -> None:
        """Do nothing: another request may be reading from this very object."""


class BodyBuffer:
    """What has come of one body so far.

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
            OSError: The temporary file could not be written, so the body is lost.
        """
        self.size += len(data)
        if self.size > self._limits.buffered_body and not self._spooled:
            self._spool()
        self._file.write(data)

    def take(self) -> IO[bytes]:
        """Return the whole body as a file at its start; the caller closes it.

        Raises:
            OSError: The last of it could not be written.
        """
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        """Give back the memory or the temporary file of a body that nobody will read."""
        with suppress(OSError):  # what was not written yet may still find no room
            self._file.close()

    def _spool(self) -> None:
        content, self._file = self._file, tempfile.TemporaryFile()  # noqa: SIM115  # see discard
        self._spooled = True
        content.seek(0)
        shutil.copyfileobj(content, self._file)
        content.close()
