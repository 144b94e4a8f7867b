"""Lines of HTTP, and the bytes that no line may contain (RFC 9112 §2.2, RFC 9110 §5.5).

Lines end with CRLF. Some readers take a bare LF or CR for a line end and others for text, which
makes request smuggling possible. Control characters are never valid. Both are refused as soon as
they are received, and not only at the end of the line.

An error counts as soon as the bytes prove it, and so does a limit. Which of the two comes first
does not depend on how the bytes were split.
"""

import re

from dewar.server.errors import Refusal
from dewar.server.wire.errors import BAD_REQUEST

CRLF = b"\r\n"

# A CR at the end may be the beginning of a CRLF.
_FAULT = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")

_CR = 13


def check_line_text(data: bytes | bytearray, checked: int, end: int) -> None:
    """Raise a 400 if `data[:end]` has a bare CR or LF, or a control character.

    *data* begins with a line; *checked* bytes of it were checked before.
    """
    # The last checked byte may be a CR.
    if _FAULT.search(data, max(checked - 1, 0), end) is not None:
        raise Refusal(BAD_REQUEST, "There is a bare CR or LF, or a control character.")


class PartialLine:
    """A line that may be received in pieces. It holds no more than its limit.

    Args:
        status: The status of a line that is too long.
        reason: The reason for that.
    """

    __slots__ = ("_held", "_reason", "_status")

    def __init__(self, status: str, reason: str) -> None:
        self._status = status
        self._reason = reason
        self._held = bytearray()

    def __repr__(self) -> str:
        return f"<PartialLine of {len(self._held)} bytes>"

    def take(self, data: bytes, pos: int, bound: int) -> tuple[bytes | None, int]:
        """Return the line without its end, or None if it is incomplete; and the end in *data*.

        Args:
            data: The received bytes.
            pos: Where in them the line begins or continues.
            bound: The maximum length of the line; the same in each call for one line.

        Raises:
            Refusal: It is too long, or has a bare CR or LF or a control character.
        """
        held = self._held
        if not held:
            end = data.find(CRLF, pos)
            if end >= 0:
                if end - pos > bound:
                    check_line_text(data[pos:end], 0, bound + 1)
                    raise Refusal(self._status, self._reason)
                return data[pos:end], end + 2
        before = len(held)
        held += data[pos : pos + bound + 2 - before]
        end = held.find(CRLF, max(before - 1, 0))
        if end >= 0:
            line = bytes(held[:end])
            held.clear()
            return line, pos + end + 2 - before
        check_line_text(held, before, min(len(held), bound + 1))
        if len(held) - (held[-1] == _CR) > bound:
            raise Refusal(self._status, self._reason)
        return None, len(data)
