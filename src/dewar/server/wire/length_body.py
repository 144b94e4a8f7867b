"""A body whose length the head tells (RFC 9112 §6.2)."""

from dewar.server.wire.body import BodyBuffer
from dewar.server.wire.limits import Limits


def maybe_length_body(
    data: bytes, pos: int, length: int, limits: Limits
) -> tuple[bytes, int] | None:
    """Return a body that is all there and stays in memory, and where it ends."""
    end = pos + length
    if end > len(data) or length > limits.buffered_body:
        return None
    return data[pos:end], end


class LengthBody:
    """Takes as many bytes as Content-Length said.

    Args:
        buffer: Where the content goes.
        length: Its bytes; more than none.
    """

    __slots__ = ("_left", "buffer")

    def __init__(self, buffer: BodyBuffer, length: int) -> None:
        self.buffer = buffer
        self._left = length

    def __repr__(self) -> str:
        return f"<LengthBody {self._left} bytes to come>"

    @property
    def is_ended(self) -> bool:
        """Whether all has come."""
        return not self._left

    def take(self, data: bytes, pos: int) -> int:
        """Take in `data[pos:]`, or what of it belongs to the body; return where that ends.

        Raises:
            OSError: The body could not be stored.
        """
        piece = data[pos : pos + self._left]
        self.buffer.add(piece)
        self._left -= len(piece)
        return pos + len(piece)
