"""The head of a request in WSGI's words: the target, the Host, and the names of the fields."""

import re
from contextlib import suppress
from ipaddress import IPv6Address
from urllib.parse import unquote

from dewar.server.errors import Refusal
from dewar.server.wire.errors import BAD_REQUEST, EXPECTATION_FAILED
from dewar.server.wire.head_cache import RequestLineCache

# RFC 3986 §3.2.2 with RFC 9110 §7.2: reg-name, IPv4 or a bracketed literal, and a port. No user
# information: RFC 9110 §4.2.4 has it rejected where it comes from a client.
_HOST = re.compile(
    r"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
    r"|\[(?P<ip>[0-9A-Fa-f:.]+)\]"
    r"|\[[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\])(?::[0-9]*)?"
)
_ABSOLUTE = re.compile(r"https?://([^/?]+)([^?]*)(?:\?(.*))?", re.IGNORECASE | re.DOTALL)

# How many distinct field names a server remembers. A client that invents names fills the memo
# once and then costs the slow way; it cannot make it grow.
MEMO_SIZE = 512
MEMO_NAME = 64

Target = tuple[str, str, str | None]


class FieldNames:
    """A bounded memo from a field's name on the wire to its key in the environ.

    ``None`` stands for a field that the application must not see: a name with ``_`` would fall
    together with the one that has ``-`` there, which is how proxies' own fields are forged.

    Shared by all threads of a server: its one write is a dict store, and two threads that learn
    the same name store the same key.
    """

    __slots__ = ("keys", "lines")

    def __init__(self) -> None:
        self.keys: dict[bytes, str | None] = {}
        self.lines = RequestLineCache()

    def __repr__(self) -> str:
        return f"<FieldNames {len(self.keys)} of {MEMO_SIZE} known>"

    def learn(self, name: bytes) -> str | None:
        """Return the environ key for *name*, or ``None`` where the field is dropped."""
        text = name.decode("ascii").upper()
        key: str | None
        if "_" in text:
            key = None
        elif text in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            key = text.replace("-", "_")
        else:
            key = "HTTP_" + text.replace("-", "_")
        if len(self.keys) < MEMO_SIZE and len(name) <= MEMO_NAME:
            self.keys[name] = key
        return key


def check_host(host: str) -> None:
    """Raise a 400 where *host* is no valid Host (RFC 9112 §3.2). The empty one is."""
    match = _HOST.fullmatch(host)
    if match is not None:
        address = match["ip"]
        if address is None:
            return
        with suppress(ValueError):
            IPv6Address(address)
            return
    raise Refusal(BAD_REQUEST, "The Host field is not a host and port.")


def split_target(method: str, target: str) -> Target:
    """Return the decoded path, the query and the authority (``None`` in origin-form).

    Percent-escapes become latin-1 characters, as PEP 3333 has it.

    Raises:
        Refusal: The target is in none of the forms of RFC 9112 §3.2, or has a fragment.
    """
    if "#" in target:
        raise Refusal(BAD_REQUEST, "A request target has no fragment.")
    if target[0] == "/":
        path, _, query = target.partition("?")
        authority = None
    elif target == "*":
        if method != "OPTIONS":
            raise Refusal(BAD_REQUEST, "The target * is for OPTIONS only.")
        return "", "", None
    else:
        match = _ABSOLUTE.fullmatch(target)
        if match is None:
            raise Refusal(BAD_REQUEST, "The request target is neither a path nor an http URL.")
        authority = match[1]
        if authority[0] == ":":
            # RFC 9110 §4.2.1: an http URI with an empty host is invalid.
            raise Refusal(BAD_REQUEST, "The request target has no host.")
        check_host(authority)
        path, query = match[2] or "/", match[3] or ""
    if "%" in path:
        path = unquote(path, "latin-1")
    return path, query, authority


def persists(connection: str, http11: bool) -> bool:
    """Return whether a request's Connection field lets the connection persist (RFC 9112 §9.3)."""
    options = {option.strip(" \t") for option in connection.lower().split(",")}
    return "close" not in options and (http11 or "keep-alive" in options)


def expects_continue(expect: str) -> bool:
    """Return whether the client waits for ``100 Continue`` (RFC 9110 §10.1.1).

    Raises:
        Refusal: 417, it expects something else.
    """
    expectations = {item.strip(" \t") for item in expect.lower().split(",")} - {""}
    if expectations - {"100-continue"}:
        raise Refusal(EXPECTATION_FAILED, "The only expectation here is 100-continue.")
    return bool(expectations)
