"""What no line of HTTP may have in it, whatever it means (RFC 9112 §2.2, RFC 9110 §5.5).

Lines end with CRLF. A bare LF or CR is read as a line end by some and as text by others, which
is what smuggling is made of, and a control character is never right. Both are found as soon as
they come, so that what cannot become a request is refused and not waited for.

A fault counts as soon as the bytes prove it, and so does a bound: which of the two comes first is
the same in every cut.
"""

import re

from dewar.server.errors import Refusal
from dewar.server.wire.errors import BAD_REQUEST

CRLF = b"\r\n"

# A CR at the very end may yet become a CRLF.
_FAULT = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")

_CR = 13


def check_line_text(data: bytes | bytearray, checked: int, end: int) -> None:
    """Raise a 400 where `data[:end]` has a bare CR or LF, or a control character.

    *data* begins with a line; *checked* bytes of it were looked at before.
    """
    # The last one may have been a CR.
    if _FAULT.search(data, max(checked - 1, 0), end) is not None:
        raise Refusal(BAD_REQUEST, "There is a bare CR or LF, or a control character.")


class PartialLine:
    """A line of which only the beginning may have come. Holds no more than its bound.

    Args:
        status: The status of what is too long.
        reason: The sentence that goes with it.
    """

    __slots__ = ("_held", "_reason", "_status")

    def __init__(self, status: str, reason: str) -> None:
        self._status = status
        self._reason = reason
        self._held = bytearray()

    def __repr__(self) -> str:
        return f"<PartialLine of {len(self._held)} bytes>"

    def take(self, data: bytes, pos: int, bound: int) -> tuple[bytes | None, int]:
        """Return the line without its end, or None while it goes on; and where to go on in *data*.

        Args:
            data: What has come.
            pos: Where in it the line begins, or goes on.
            bound: Bytes that the line may have; the same in each call for one line.

        Raises:
            Refusal: It is longer, or has in it what no line may have.
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
