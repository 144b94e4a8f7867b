"""A head that is received in pieces.

A complete head is parsed as a whole, so that the result does not depend on how it was split. An
incomplete head is refused as soon as it cannot become valid: because of its request line, of bytes
that no line may contain, or of a limit.
"""

from dewar.server.errors import Refusal
from dewar.server.wire.errors import BAD_REQUEST, FIELDS_TOO_LARGE
from dewar.server.wire.head import check_line_length, parse_line
from dewar.server.wire.limits import Limits
from dewar.server.wire.lines import CRLF, check_line_text

HEAD_END = b"\r\n\r\n"
_CR = 13
# The shortest field: "a:" and its line end.
LEAST_FIELD = 4

# Some clients send an empty line after a body. RFC 9112 §2.2 requires to ignore at least one.
_EMPTY_LINES = 8


class PartialHead:
    """Collects a head, and counts the empty lines before it. It holds no more than the limits."""

    __slots__ = ("_data", "_limits", "_line_end", "_skipped")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._data = bytearray()
        self._line_end = -1
        self._skipped = 0

    def __repr__(self) -> str:
        return f"<PartialHead of {len(self._data)} bytes>"

    @property
    def is_begun(self) -> bool:
        """Whether a byte of the head was received, not only of an empty line before it."""
        return len(self._data) > 1 or (len(self._data) == 1 and self._data[0] != _CR)

    def take(self, data: bytes, pos: int) -> tuple[bytes | None, int]:
        """Add `data[pos:]`; return the head if it is complete, and where it ends in *data*.

        Raises:
            Refusal: The head cannot become valid.
        """
        held = self._data
        if not held:
            pos = self._skip_empty_lines(data, pos)
            end = data.find(HEAD_END, pos)
            if end >= 0:
                self._skipped = 0
                return data[pos : end + 4], end + 4
        before = len(held)
        held += data[pos:]
        if before == 1 and held.startswith(CRLF):
            # The second half of an empty line: begin again after it.
            held.clear()
            self._skipped += 1
            return self.take(data, pos + 1)
        end = held.find(HEAD_END, max(before - 3, 0))
        if end < 0:
            self._check(before)
            return None, len(data)
        head = bytes(held[: end + 4])
        rest = len(held) - len(head)
        self.clear()
        return head, len(data) - rest

    def clear(self) -> None:
        """Begin again."""
        self._data.clear()
        self._line_end = -1
        self._skipped = 0

    def _skip_empty_lines(self, data: bytes, pos: int) -> int:
        while data.startswith(CRLF, pos):
            pos += 2
            self._skipped += 1
        if self._skipped > _EMPTY_LINES:
            raise Refusal(BAD_REQUEST, "There are too many empty lines before a request.")
        return pos

    def _check(self, checked: int) -> None:
        """Raise a refusal that is already certain; *checked* bytes were checked before."""
        data, limits = self._data, self._limits
        if self._line_end < 0:
            self._line_end = end = data.find(CRLF, max(checked - 1, 0))
            if end < 0:
                check_line_text(data, checked, min(len(data), limits.request_line + 1))
                # A CR at the end may be the beginning of the CRLF.
                check_line_length(data, 0, len(data) - data.endswith(b"\r"), limits)
                return
            check_line_length(data, 0, end, limits)
            parse_line(bytes(data[:end]))
            checked = end
        # The fields are between the CRLF of the request line and the empty line. They are too large
        # for certain when the empty line cannot begin within the limit any more.
        window = self._line_end + len(CRLF) + limits.header_bytes + 2
        check_line_text(data, checked, min(len(data), window))
        if len(data) >= window:
            raise fields_too_large(limits)


def check_fields_size(data: bytes, line_end: int, end: int, limits: Limits) -> None:
    """Raise a 431 if the fields of a complete head have too many bytes.

    Args:
        data: The bytes that contain the head.
        line_end: Where the CRLF of its request line begins.
        end: Where the CRLF before its empty line begins.
        limits: The limits of a head.
    """
    if end - line_end > limits.header_bytes:
        check_line_text(data[line_end : end + 4], 0, len(CRLF) + limits.header_bytes + 2)
        raise fields_too_large(limits)


def check_field_count(data: bytes, line_end: int, end: int, limits: Limits) -> None:
    """Raise a 431 if a complete head has too many fields; see `check_fields_size`."""
    count = limits.header_count
    if data.count(CRLF, line_end, end) > count:
        check_line_text(data[line_end : end + 4], 0, end + 4)
        raise Refusal(FIELDS_TOO_LARGE, f"A head may have at most {count} fields.")


def fields_too_large(limits: Limits) -> Refusal:
    """Return the refusal of a head with too many bytes."""
    return Refusal(FIELDS_TOO_LARGE, f"A head may have at most {limits.header_bytes} bytes.")
