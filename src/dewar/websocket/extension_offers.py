"""The field ``Sec-WebSocket-Extensions`` of a request (RFC 6455, section 9.1)."""

import re
from dataclasses import dataclass

from dewar.websocket.errors import HandshakeError

#: A token of HTTP, as a pattern: RFC 9110, section 5.6.2.
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  # no secret

_OWS = r"[ \t]*"
_NAME = re.compile(rf"{_OWS}({TOKEN}){_OWS}")
# A quoted value has to be a token too (RFC 6455, section 9.1).
_PARAMETER = re.compile(rf';{_OWS}({TOKEN}){_OWS}(?:={_OWS}(?:({TOKEN})|"({TOKEN})"){_OWS})?')
_COMMAS = re.compile(r"[ \t]*(?:,[ \t]*)*")


@dataclass(frozen=True, slots=True)
class Offer:
    """An extension that the client offers, with its parameters in their order."""

    name: str
    parameters: tuple[tuple[str, str | None], ...]


def parse_offers(text: str) -> list[Offer]:
    """Return the extensions that a field offers, in the client's order.

    Raises:
        HandshakeError: If the field is malformed.
    """
    offers: list[Offer] = []
    position = _end(_COMMAS.match(text))
    while position < len(text):
        name = _NAME.match(text, position)
        if name is None:
            raise _malformed(text)
        position = name.end()
        parameters: list[tuple[str, str | None]] = []
        while found := _PARAMETER.match(text, position):
            parameters.append((found[1], found[2] or found[3]))
            position = found.end()
        offers.append(Offer(name[1], tuple(parameters)))
        if position < len(text) and text[position] != ",":
            raise _malformed(text)
        position = _end(_COMMAS.match(text, position))
    return offers


def _end(found: re.Match[str] | None) -> int:
    return found.end() if found else 0


def _malformed(text: str) -> HandshakeError:
    return HandshakeError(f"Sec-WebSocket-Extensions is malformed: {text!r}")
