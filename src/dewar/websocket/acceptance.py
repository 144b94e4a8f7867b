"""The answer that opens a WebSocket (RFC 6455, section 4.2.2)."""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1

from dewar.websocket.errors import WebSocketValueError
from dewar.websocket.extension_offers import TOKEN
from dewar.websocket.opening_handshake import OpeningHandshake

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_NAME = re.compile(TOKEN)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
#: Fields that the answer has once, from the handshake.
RESERVED = frozenset({
    "connection", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol",
    "sec-websocket-version", "transfer-encoding", "upgrade",
})  # fmt: skip
#: Fields of a body, which the answer does not have: a hook may have set them for any response.
_OF_A_BODY = frozenset({"content-length", "content-type"})


def accept_key(key: str) -> str:
    """Return the value of ``Sec-WebSocket-Accept`` for a key."""
    digest = sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()
    return b64encode(digest).decode()


def acceptance(
    handshake: OpeningHandshake,
    subprotocol: str | None,
    extensions: str | None,
    headers: Iterable[tuple[str, str]],
) -> bytes:
    """Return the head of the response with status 101, but for the empty line at its end.

    Args:
        handshake: The request.
        subprotocol: The one that was chosen, if any.
        extensions: The value of ``Sec-WebSocket-Extensions``, if there is one.
        headers: More header fields.

    Raises:
        WebSocketValueError: If the client did not offer the subprotocol, or a field cannot be sent.
    """
    if subprotocol is not None and subprotocol not in handshake.subprotocols:
        offered = ", ".join(map(repr, handshake.subprotocols)) or "none"
        raise WebSocketValueError(
            f"accept(subprotocol={subprotocol!r}) chooses none of the subprotocols that the client"
            f" offers: {offered}. See ws.subprotocols."
        )
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(handshake.key)}",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    if extensions:
        lines.append(f"Sec-WebSocket-Extensions: {extensions}")
    return "\r\n".join([*lines, ""]).encode("latin-1") + header_lines(headers)


def header_lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """Return lines with header fields for the response; those of a body are left out.

    Raises:
        WebSocketValueError: If a field cannot be sent.
    """
    return "".join(map(_line, headers)).encode("latin-1")


def _line(field: object) -> str:
    if not (
        isinstance(field, (tuple, list))
        and len(field) == 2
        and all(isinstance(text, str) for text in field)
    ):
        raise WebSocketValueError(
            f"{field!r} is no header field. Write pairs of texts: accept(headers=[('X-Name',"
            " 'value')])"
        )
    name, value = field
    if name.lower() in _OF_A_BODY:
        return ""
    if name.lower() in RESERVED:
        raise WebSocketValueError(
            f"The header field {name!r} of a handshake is not for programs to set. A subprotocol is"
            " chosen with accept(subprotocol=...)."
        )
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise WebSocketValueError(f"The header field {name!r}: {value!r} cannot be sent.")
    return f"{name}: {value}\r\n"
