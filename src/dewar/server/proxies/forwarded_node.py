"""The grammar of ``Forwarded`` (RFC 7239): nodes, and elements with their parameters."""

import re
from ipaddress import ip_address
from typing import NamedTuple

from dewar.server.errors import Refusal
from dewar.server.wire.errors import BAD_REQUEST

_OBFUSCATED = r"_[A-Za-z0-9._\-]+"
_NODE = re.compile(
    rf"(unknown|{_OBFUSCATED}|[0-9.]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}|{_OBFUSCATED}))?",
    re.IGNORECASE,
)
_BARE_IPV6 = re.compile(r"[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110 §5.6.2, no secret
_PAIR = re.compile(rf'({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")')
_ESCAPE = re.compile(r"\\(.)")
_BLANK = re.compile(r"[ \t]*")


class ForwardedNode(NamedTuple):
    """One end of a connection, as a proxy describes it.

    Attributes:
        name: The address in its canonical form, ``"unknown"``, or an obfuscated identifier
            (``"_hidden"``).
        port: The port in decimal, or ``""`` if there is none or it is obfuscated.
    """

    name: str
    port: str


class ForwardedElement(NamedTuple):
    """One element of a Forwarded field: its text, and its parameters by lower-case name."""

    text: str
    pairs: dict[str, str]


def parse_node(text: str, *, bare_ipv6: bool = False) -> ForwardedNode:
    """Return the node that *text* names (RFC 7239 §6).

    Args:
        text: An address with or without a port, ``unknown``, or an obfuscated identifier.
        bare_ipv6: Whether IPv6 is allowed without brackets, as in X-Forwarded-For.

    Raises:
        Refusal: It is none of these.
    """
    if bare_ipv6 and _BARE_IPV6.fullmatch(text):
        return ForwardedNode(_address(text), "")
    match = _NODE.fullmatch(text)
    if match is None:
        raise Refusal(BAD_REQUEST, "The address in a proxy's header is invalid.")
    name, port = match[1], match[2] or ""
    if port.startswith("_"):
        port = ""
    elif port and int(port) > 65535:
        raise Refusal(BAD_REQUEST, "A port in a proxy's header is above 65535.")
    if name.startswith("_"):
        return ForwardedNode(name, port)
    if name[0] in "uU":
        return ForwardedNode("unknown", port)
    return ForwardedNode(_address(name.strip("[]")), port)


def parse_elements(text: str) -> list[ForwardedElement]:
    """Return the elements of a Forwarded field, leftmost first (RFC 7239 §4).

    Raises:
        Refusal: It is malformed, or an element has a parameter twice.
    """
    elements: list[ForwardedElement] = []
    pairs: dict[str, str] = {}
    at = start = 0
    while at <= len(text):
        at, pair = _maybe_pair(text, at)
        if pair is not None:
            if pair[0] in pairs:
                raise Refusal(BAD_REQUEST, "The Forwarded field has a parameter twice.")
            pairs[pair[0]] = pair[1]
        mark = text[at : at + 1]
        if mark not in ("", ",", ";"):
            raise Refusal(BAD_REQUEST, "The Forwarded field is malformed.")
        if mark != ";":
            if pairs:
                elements.append(ForwardedElement(text[start:at].strip(" \t"), pairs))
            pairs, start = {}, at + 1
        at += 1
    return elements


def _maybe_pair(text: str, at: int) -> tuple[int, tuple[str, str] | None]:
    """Return the end of the pair at *at* with the blanks after it, and the pair, if any."""
    at = _end_of_blanks(text, at)
    match = _PAIR.match(text, at)
    if match is None:
        return at, None
    name, token, quoted = match.groups()
    value = token if quoted is None else _ESCAPE.sub(r"\1", quoted)
    return _end_of_blanks(text, match.end()), (name.lower(), value)


def _end_of_blanks(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise Refusal(BAD_REQUEST, "The address in a proxy's header is invalid.") from None
