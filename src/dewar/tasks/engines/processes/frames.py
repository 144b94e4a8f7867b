"""`Frames`: messages on a stream of bytes, each with its kind and length before it.

Not the frames of `multiprocessing.Connection`: those are read with a call that blocks until the
whole message is there, and then one child that stops in the middle stops the parent too.
"""

from enum import IntEnum
from struct import Struct

_HEADER = Struct("!BQ")


class FrameKind(IntEnum):
    """What a message is."""

    #: To the child.
    CALL = 1
    #: From the child.
    READY = 2
    RESULT = 3
    ERROR = 4
    PROGRESS = 5
    #: The initializer failed; the payload is the traceback.
    BROKEN = 6


def frame(kind: FrameKind, payload: bytes | memoryview = b"") -> bytes:
    """Return a message as it is sent."""
    return b"".join((_HEADER.pack(kind, len(payload)), payload))


class Frames:
    """Makes messages of what has arrived, in whatever pieces."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[tuple[FrameKind, bytes]]:
        """Return the messages that are complete with these bytes."""
        held = self._data
        held += data
        messages = []
        while len(held) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(held)
            end = _HEADER.size + length
            if len(held) < end:
                break
            messages.append((FrameKind(kind), bytes(memoryview(held)[_HEADER.size : end])))
            del held[:end]
        return messages

    def __repr__(self) -> str:
        return f"<Frames, {len(self._data)} bytes of the next>"
