"""Where the bodies of one process are kept, and how much room they have together.

A small body is in memory, a larger one in a temporary file. Both kinds of file give their room back
when they are closed.
"""

import io
import tempfile
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.limits import Limits

# Bodies of the largest size that may be in memory at a time: 64 MiB with the default settings.
_IN_MEMORY = 128


class Quota:
    """Bytes that many files share.

    Args:
        most: How many; None for no limit.
        lock: Held while they are counted: any thread may close a file.

    Attributes:
        used: How many are taken.
    """

    __slots__ = ("_lock", "_most", "used")

    def __init__(self, most: int | None, lock: AbstractContextManager[Any]) -> None:
        self._most = most
        self._lock = lock
        self.used = 0

    def __repr__(self) -> str:
        return f"<Quota {self.used} of {self._most} bytes>"

    def has_room(self, size: int) -> bool:
        """Return whether *size* more bytes fit at the moment."""
        return self._most is None or self.used + size <= self._most

    def try_take(self, size: int) -> bool:
        """Take *size* bytes if there is room; return whether there is."""
        with self._lock:
            if not self.has_room(size):
                return False
            self.used += size
            return True

    def give_back(self, size: int) -> None:
        """Give *size* bytes back."""
        with self._lock:
            self.used -= size


class _CountedFile(io.BufferedIOBase):
    """Counts what is written against a quota, until the file is closed."""

    _quota: Quota
    _held = 0

    def try_append(self, data: bytes) -> bool:
        """Append *data* if the quota has room; return whether it has.

        Raises:
            OSError: It cannot be written.
        """
        if not self._quota.try_take(len(data)):
            return False
        self._held += len(data)
        self.write(data)
        return True

    def close(self) -> None:
        """Close the file and give its room back."""
        try:
            super().close()
        finally:
            held, self._held = self._held, 0
            self._quota.give_back(held)


class MemoryFile(_CountedFile, io.BytesIO):
    """A body in memory.

    Args:
        quota: What its bytes are taken from.
    """

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        super().__init__()


class DiskFile(_CountedFile, io.BufferedRandom):
    """A body in a file that has no name, and that only this user could open.

    Args:
        raw: The file, unbuffered.
        quota: What its bytes are taken from.
    """

    def __init__(self, raw: Any, quota: Quota) -> None:
        self._quota = quota
        super().__init__(raw)


class BodyStorage:
    """The room for the bodies of all connections of a server in this process.

    Args:
        limits: How much there is.
        lock: Held while bytes are counted.

    Attributes:
        memory: The bytes in memory. A body that finds none left goes to disk.
        disk: The bytes on disk.
    """

    __slots__ = ("_limits", "disk", "memory")

    def __init__(
        self,
        limits: Limits,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        lock = nullcontext() if lock is None else lock
        self._limits = limits
        self.memory = Quota(limits.buffered_body * _IN_MEMORY, lock)
        self.disk = Quota(limits.spooled, lock)

    def __repr__(self) -> str:
        return f"<BodyStorage, memory {self.memory!r}, disk {self.disk!r}>"

    def open_memory(self) -> MemoryFile:
        """Return an empty file in memory."""
        return MemoryFile(self.memory)

    def open_disk(self, size: int) -> DiskFile:
        """Return an empty file on disk.

        Args:
            size: The bytes that the body will have, as far as that is known.

        Raises:
            Refusal: There is no room for so many.
            OSError: There can be no file.
        """
        if not self.disk.has_room(size):
            raise self.refusal(size)
        return DiskFile(tempfile.TemporaryFile(buffering=0), self.disk)

    def refusal(self, size: int) -> Refusal:
        """Return the answer to a body of *size* bytes that finds no room: 413 if it never could."""
        most = self._limits.spooled
        if most is not None and size > most:
            cause = f"It is larger than max_spooled={most} allows for all bodies together."
            return Refusal(errors.TOO_LARGE, f"A body may have at most {most} bytes.", cause)
        cause = f"max_spooled={most} is reached: bodies on disk take all the room."
        return Refusal(errors.UNAVAILABLE, "There is no room for the body. Try again later.", cause)

    def failure(self, error: OSError) -> Refusal:
        """Return the answer to a body that the system cannot store."""
        # Not `gettempdir`, which fails if there is no folder.
        folder = tempfile.tempdir or "a temporary folder"
        cause = f"The body cannot be stored in {folder}: {error.strerror or error}."
        return Refusal(errors.UNAVAILABLE, "The body cannot be stored.", cause)
