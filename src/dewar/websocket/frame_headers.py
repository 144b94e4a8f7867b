"""`FrameHeaders`: where the frames begin and end in what is read, and which of them are refused.

The library checks less, or later: it waits for the content of a frame whose header is wrong
already, takes lengths in more bytes than they need, and counts a ping within a message towards its
size. It also reads whatever it is given, and then a short read can inflate to any size. So each
header is read here first (RFC 6455, section 5.2), and the library is given one frame at a time.
"""

from enum import Enum

_CONTINUATION, _BINARY, _CLOSE, _PONG = 0, 2, 8, 10
_LONGEST_CONTROL = 125  # RFC 6455, section 5.5
_LONGEST = 2**63 - 1


class FrameError(Exception):
    """Raised inside the package for a frame that closes the WebSocket, with the `code` for that."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FragmentedMessage(Enum):
    """Which message the next continuation belongs to."""

    NONE = "none"
    PLAIN = "one that is not compressed"
    COMPRESSED = "one that is"


class FrameHeaders:
    """Reads the headers of the frames from a client.

    Args:
        max_size: The longest message, in bytes.
        is_compressed: Whether the messages may be compressed.
    """

    __slots__ = ("_is_compressed", "_left", "_max_size", "_message", "_partial", "_size")

    def __init__(self, max_size: int, is_compressed: bool) -> None:
        self._max_size = max_size
        self._is_compressed = is_compressed
        self._message = FragmentedMessage.NONE
        self._size = 0  # the bytes of the message so far, if it is not compressed
        self._left = 0  # the bytes of the current frame that are still to come
        self._partial = b""  # a header that is not complete

    def __repr__(self) -> str:
        return f"<FrameHeaders, {self._left} bytes of the frame to come>"

    def find_end(self, data: bytes, start: int) -> int:
        """Return where the current frame ends in *data*; its length if the frame goes on after it.

        Args:
            data: What was read.
            start: Where to begin: 0, or what the last call returned for the same data.

        Raises:
            FrameError: If the frame closes the WebSocket. Nothing after that may be read.
        """
        end = start + (self._left or self._read_header(data, start))
        size = len(data)
        if end <= size:
            self._left = 0
            return end
        self._left = end - size
        return size

    def _read_header(self, data: bytes, start: int) -> int:
        """Return the size of a frame without what came before; as far as it is known."""
        before = len(self._partial)
        if before:
            data, start = self._partial + data[start : start + 10], 0
        size = self._maybe_size(data, start)
        self._partial = data[start:] if size is None else b""
        return len(data) - start - before if size is None else size - before

    def _maybe_size(self, data: bytes, start: int) -> int | None:
        """Return the size of the frame with its header; None if the header is not complete."""
        available = len(data) - start
        if available < 2:
            return None
        first, second = data[start], data[start + 1]
        length, header = second & 0x7F, 6
        if length > _LONGEST_CONTROL:
            count = 2 if length == 126 else 8
            if available < 2 + count:
                return None
            least = _LONGEST_CONTROL if count == 2 else 0xFFFF
            length, header = int.from_bytes(data[start + 2 : start + 2 + count]), 6 + count
            if not least < length <= _LONGEST:
                raise FrameError(1002, "the length of a frame is not encoded as it has to be")
        if not second & 0x80:
            raise FrameError(1002, "a frame is not masked")
        self._check(first, length)
        return header + length

    def _check(self, first: int, length: int) -> None:
        opcode, is_final = first & 0x0F, first & 0x80
        if first & 0x30 or (first & 0x40 and not self._may_be_compressed(opcode)):
            raise FrameError(1002, "a reserved bit is set")
        if opcode >= _CLOSE:
            self._check_control(opcode, bool(is_final), length)
            return
        if opcode > _BINARY:
            raise FrameError(1002, f"opcode {opcode} is reserved")
        if (opcode == _CONTINUATION) != (self._message is not FragmentedMessage.NONE):
            raise FrameError(1002, "a message is not continued as it has to be")
        if opcode != _CONTINUATION:
            self._size = 0
            self._message = (
                FragmentedMessage.COMPRESSED if first & 0x40 else FragmentedMessage.PLAIN
            )
        self._count(length)
        if is_final:
            self._message = FragmentedMessage.NONE

    def _may_be_compressed(self, opcode: int) -> bool:
        return self._is_compressed and _CONTINUATION < opcode <= _BINARY

    def _check_control(self, opcode: int, is_final: bool, length: int) -> None:
        if opcode > _PONG:
            raise FrameError(1002, f"opcode {opcode} is reserved")
        if not is_final or length > _LONGEST_CONTROL:
            raise FrameError(1002, "a control frame is fragmented or too long")

    def _count(self, length: int) -> None:
        longest = self._max_size
        if self._message is FragmentedMessage.PLAIN:
            self._size += length
            is_too_long = self._size > longest
        else:
            # What it inflates to is counted there. Data that cannot be compressed gets longer, by
            # less than this in each frame (zlib's deflateBound).
            is_too_long = length > longest + longest // 4 + 64
        if is_too_long:
            raise FrameError(1009, f"a message is longer than {longest} bytes")
