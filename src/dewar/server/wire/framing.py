"""Where a request's body ends, as its head tells (RFC 9112 §6).

Whatever two readers could measure in two ways is refused: the fields are checked here once more,
although llhttp has been through them.
"""

import re

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.limits import Limits

# A coding with its parameters, RFC 9112 §7; no quoted strings, as none that is registered has one.
_CODING = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*;[!#$%&'*+\-.^_`|~0-9A-Za-z=\t ]*)?")
# 10**18 bytes; RFC 9110 §8.6 has overflow expected, and this is far below that of 64 bits.
_DIGITS = 18


# Beside the numbers of bytes.
CHUNKED = -1


def parse_framing(coding: str | None, length: str | None, http11: bool) -> int:
    """Return the bytes of the body, or CHUNKED.

    Args:
        coding: The Transfer-Encoding, where there is one.
        length: The Content-Length, where there is one.
        http11: Whether the client speaks HTTP/1.1.

    Raises:
        Refusal: There may be two opinions about it.
    """
    if coding is None:
        return 0 if length is None else _parse_length(length)
    _check_coding(coding, http11)
    if length is not None:
        # RFC 9112 §6.3, point 3: this may be an attempt to smuggle.
        raise Refusal(errors.BAD_REQUEST, "There is a Content-Length with Transfer-Encoding.")
    return CHUNKED


def check_body_size(size: int, limits: Limits) -> None:
    """Raise a 413 where *size* bytes are too many."""
    limit = limits.body
    if limit is not None and size > limit:
        raise Refusal(errors.TOO_LARGE, f"A body may have at most {limit} bytes.")


def _parse_length(value: str) -> int:
    """Return what a Content-Length says.

    Raises:
        Refusal: It is not one number (RFC 9112 §6.3, point 5).
    """
    if not (value.isascii() and value.isdigit()):
        raise Refusal(errors.BAD_REQUEST, "Content-Length is not one number.")
    digits = value.lstrip("0")
    if len(digits) > _DIGITS:
        raise Refusal(errors.TOO_LARGE, "No body has that many bytes.")
    return int(digits or "0")


def _check_coding(value: str, http11: bool) -> None:
    """Raise a refusal where a Transfer-Encoding is anything but ``chunked``.

    It is 501 for a coding that is not known here, under chunked (RFC 9112 §6.1), and 400 where
    chunked is not the last and only once, since the length cannot be told then (§6.3, point 4).
    """
    if not http11:
        # RFC 9112 §6.1: such a message's framing is to be taken as faulty.
        raise Refusal(errors.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding.")
    text = value.lower()
    if text == "chunked":
        return
    *codings, last = (coding.strip(" \t") for coding in text.split(","))
    if last != "chunked" or "chunked" in codings or not all(map(_CODING.fullmatch, codings)):
        raise Refusal(errors.BAD_REQUEST, "Transfer-Encoding does not end in one chunked.")
    raise Refusal(errors.NOT_IMPLEMENTED, "The only transfer coding here is chunked.")
