"""The end of a request: of its body, and of its connection (RFC 9112 §6 and §9).

A length that two readers could measure differently is refused. The fields are checked here again,
although llhttp has checked them.
"""

import re
from typing import Any

from dewar.server.errors import Refusal
from dewar.server.wire import errors
from dewar.server.wire.limits import Limits

# A coding with its parameters, RFC 9112 §7; no quoted strings, as no registered coding has one.
_CODING = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*;[!#$%&'*+\-.^_`|~0-9A-Za-z=\t ]*)?")
# Below 10**18 bytes. RFC 9110 §8.6 requires to prevent overflows; this is far below 64 bits.
_DIGITS = 18

# The framing of a chunked body; every other framing is a number of bytes.
CHUNKED = -1


def take_framing(
    environ: dict[str, Any], http11: bool, limits: Limits
) -> tuple[bool, bool, bool, int]:
    """Apply the fields of *environ* about the connection and the body.

    Returns:
        Whether the connection can persist; whether the client asks to go on with WebSocket; whether
        it waits for ``100 Continue`` before it sends a body; and the bytes of the body, or CHUNKED.

    Raises:
        Refusal: The length of the body is ambiguous or too large, or an expectation is unknown.
    """
    connection = environ.get("HTTP_CONNECTION")
    keep_alive, upgrades = http11, False
    if connection is not None:
        options = {option.strip(" \t") for option in connection.lower().split(",")}
        # RFC 9112 §9.3
        keep_alive = "close" not in options and (http11 or "keep-alive" in options)
        upgrades = "upgrade" in options and http11 and keep_alive and _asks_websocket(environ)
    length = environ.get("CONTENT_LENGTH")
    framing = _parse_framing(environ.pop("HTTP_TRANSFER_ENCODING", None), length, http11)
    check_body_size(framing, limits)
    if length is not None:
        environ["CONTENT_LENGTH"] = str(framing)  # without leading zeros
    expect = environ.get("HTTP_EXPECT")
    # In HTTP/1.0 an expectation is ignored (RFC 9110 §10.1.1).
    waits = expect is not None and http11 and _expects_continue(expect)
    return keep_alive, upgrades and not framing, waits, framing


def check_body_size(size: int, limits: Limits) -> None:
    """Raise a 413 if *size* bytes are too many."""
    limit = limits.body
    if limit is not None and size > limit:
        raise Refusal(errors.TOO_LARGE, f"A body may have at most {limit} bytes.")


def _asks_websocket(environ: dict[str, Any]) -> bool:
    """Return whether a request asks for WebSocket (RFC 6455 §4.2.1, RFC 9110 §7.8)."""
    protocols = environ.get("HTTP_UPGRADE", "").lower().split(",")
    is_asked = any(protocol.strip(" \t") == "websocket" for protocol in protocols)
    return is_asked and environ["REQUEST_METHOD"] == "GET"


def _expects_continue(expect: str) -> bool:
    """Return whether the client waits for ``100 Continue`` (RFC 9110 §10.1.1)."""
    expectations = {item.strip(" \t") for item in expect.lower().split(",")} - {""}
    if expectations - {"100-continue"}:
        reason = "The only supported expectation is 100-continue."
        raise Refusal(errors.EXPECTATION_FAILED, reason)
    return bool(expectations)


def _parse_framing(coding: str | None, length: str | None, http11: bool) -> int:
    """Return the bytes of the body, or CHUNKED, given Transfer-Encoding and Content-Length."""
    if coding is None:
        return 0 if length is None else _parse_length(length)
    _check_coding(coding, http11)
    if length is not None:
        # RFC 9112 §6.3, point 3: this may be an attempt of request smuggling.
        reason = "There is a Content-Length together with Transfer-Encoding."
        raise Refusal(errors.BAD_REQUEST, reason)
    return CHUNKED


def _parse_length(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        # RFC 9112 §6.3, point 5.
        raise Refusal(errors.BAD_REQUEST, "Content-Length is not a single number.")
    digits = value.lstrip("0")
    if len(digits) > _DIGITS:
        raise Refusal(errors.TOO_LARGE, "The Content-Length is too large.")
    return int(digits or "0")


def _check_coding(value: str, http11: bool) -> None:
    """Raise a refusal if a Transfer-Encoding is anything but ``chunked``.

    It is 501 for an unknown coding before chunked (RFC 9112 §6.1). It is 400 unless chunked is last
    and there only once, since the length is unknown then (§6.3, point 4).
    """
    if not http11:
        # RFC 9112 §6.1: the framing of such a message is faulty.
        raise Refusal(errors.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding.")
    text = value.lower()
    if text == "chunked":
        return
    *codings, last = (coding.strip(" \t") for coding in text.split(","))
    if last != "chunked" or "chunked" in codings or not all(map(_CODING.fullmatch, codings)):
        raise Refusal(errors.BAD_REQUEST, "Transfer-Encoding does not end in a single chunked.")
    raise Refusal(errors.NOT_IMPLEMENTED, "The only supported transfer coding is chunked.")
