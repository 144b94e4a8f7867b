"""`OpeningHandshake`: the request that opens a WebSocket (RFC 6455, section 4.2.1)."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dewar.environ_keys import SOCKETS, STOP
from dewar.websocket.errors import HandshakeError
from dewar.websocket.extension_offers import TOKEN, parse_offers

#: The version of the protocol: RFC 6455 is 13.
VERSION = "13"

_TOKEN = re.compile(TOKEN)
# 0 to 255 without leading zeros: RFC 6455, section 4.3. Two fields become one with a comma.
_A_VERSION = re.compile(r"\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]")
# 16 bytes in base64; the last of the 22 digits has four bits that are unused.
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"))


@dataclass(frozen=True, slots=True)
class OpeningHandshake:
    """What the client asks for.

    Attributes:
        key: The key, which the answer proves to have read.
        subprotocols: The subprotocols that the client offers, the preferred one first.
        extensions: The extensions that the client offers, as in the field; it is well-formed.
        origin: The origin of the page that opens the WebSocket; None if no browser does.
    """

    key: str
    subprotocols: tuple[str, ...] = ()
    extensions: str = ""
    origin: str | None = None


def read_handshake(environ: Mapping[str, Any]) -> OpeningHandshake:
    """Return the handshake in the environ of a request.

    A server joins doubled fields with commas (RFC 9110, section 5.3). A doubled field that may not
    be doubled is malformed then.

    Raises:
        HandshakeError: With status 426 if the request asks for no WebSocket or for another version
            of the protocol, and with 400 if it is malformed.
    """
    if "websocket" not in _tokens(environ, "HTTP_UPGRADE"):
        raise HandshakeError("Only a WebSocket can be opened here.", 426, _UPGRADE)
    if "upgrade" not in _tokens(environ, "HTTP_CONNECTION"):
        raise HandshakeError("The Connection field of a handshake has the option 'Upgrade'.")
    if environ.get("REQUEST_METHOD") != "GET":
        raise HandshakeError("The method of a handshake is GET.")
    if environ.get("SERVER_PROTOCOL", "HTTP/1.1") in {"HTTP/0.9", "HTTP/1.0"}:
        raise HandshakeError("A handshake needs HTTP/1.1.")
    if environ.get("CONTENT_LENGTH") not in {None, "", "0"} or "HTTP_TRANSFER_ENCODING" in environ:
        raise HandshakeError("A handshake has no content.")
    if STOP in environ and SOCKETS[0] not in environ:
        # Our own server, which offers the connection unless the request contradicts itself.
        raise HandshakeError("A handshake has no content, and no option 'close' in Connection.")
    _check_version(environ.get("HTTP_SEC_WEBSOCKET_VERSION"))
    extensions: str | None = environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS")
    if extensions is not None and not parse_offers(extensions):
        raise HandshakeError("Sec-WebSocket-Extensions is empty.")
    return OpeningHandshake(
        _key(environ.get("HTTP_SEC_WEBSOCKET_KEY")),
        _subprotocols(environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL")),
        extensions or "",
        _origin(environ.get("HTTP_ORIGIN")),
    )


def _tokens(environ: Mapping[str, Any], name: str) -> list[str]:
    return [token.strip(" \t").lower() for token in environ.get(name, "").split(",")]


def _check_version(text: str | None) -> None:
    if text == VERSION:
        return
    if text is None or not _A_VERSION.fullmatch(text):
        raise HandshakeError(f"Sec-WebSocket-Version is missing or malformed: {text!r}")
    raise HandshakeError(
        f"Version {text} of the WebSocket protocol is not spoken here, but {VERSION} is.",
        426,
        (*_UPGRADE, ("Sec-WebSocket-Version", VERSION)),
    )


def _key(text: str | None) -> str:
    if text is None or not _KEY.fullmatch(text) or not _is_16_bytes(text):
        raise HandshakeError(f"Sec-WebSocket-Key is missing or malformed: {text!r}")
    return text


def _is_16_bytes(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == 16
    except binascii.Error:
        return False


def _subprotocols(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    found = tuple(name for part in text.split(",") if (name := part.strip(" \t")))
    if not found or len(set(found)) < len(found) or not all(map(_TOKEN.fullmatch, found)):
        raise HandshakeError(f"Sec-WebSocket-Protocol is malformed: {text!r}")
    return found


def _origin(text: str | None) -> str | None:
    if text is not None and (not text or not text.isascii() or any(c in ' ,\t"<>\\' for c in text)):
        raise HandshakeError(f"Origin is malformed: {text!r}")
    return text
