"""What trusted proxies say of the client: ``Forwarded`` (RFC 7239) and ``X-Forwarded-*``.

SECURITY. The threat: these fields are ordinary ones, and any client can send them, to pass for
another address, for an encrypted connection, or for another host in the links of a page. The rules:

* They are read where the direct peer is trusted. From any other they are removed, so that no
  application takes them for true.
* Addresses are believed from the right, for each proxy appends what it has seen. The first that
  is no trusted host is the client; what stands left of it came from the client and is removed.
* A proxy that sets the one kind passes on the other kind as the client sent it. Where both are
  there they must say the same; else the request is refused. Setting ``forwarded_headers`` to the
  kind that the proxies set removes the other.
* What a trusted proxy sends malformed is refused: guessing would be believing.
* A client that is not known ("unknown") does not keep the proxy's address, which may be one
  that the application has confidence in.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from dewar.server.proxies.forwarded_node import ForwardedNode, parse_elements, parse_node
from dewar.server.wire.errors import BAD_REQUEST, Refusal
from dewar.server.wire.head import check_host

Environ = dict[str, Any]
Changes = dict[str, str | None]

AUTO, X_FORWARDED, FORWARDED = "auto", "x-forwarded", "forwarded"
KINDS = (AUTO, X_FORWARDED, FORWARDED)

_FORWARDED_KEY = "HTTP_FORWARDED"
_FOR = "HTTP_X_FORWARDED_FOR"
_PROTO = "HTTP_X_FORWARDED_PROTO"
_HOST = "HTTP_X_FORWARDED_HOST"
_PORT = "HTTP_X_FORWARDED_PORT"
_PREFIX = "HTTP_X_FORWARDED_PREFIX"
_READ = (_FOR, _PROTO, _HOST, _PORT, _PREFIX)
# Not read here, but applications and middleware do.
_RELATED = (
    "HTTP_X_FORWARDED_BY",
    "HTTP_X_FORWARDED_PROTOCOL",
    "HTTP_X_FORWARDED_SCHEME",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_FORWARDED_SSL",
    "HTTP_X_REAL_IP",
)
_ALL = (_FORWARDED_KEY, *_READ, *_RELATED)

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_DEFAULT_PORTS = {"http": "80", "https": "443"}
# A path as it may stand in a URL (RFC 3986 §3.3), without empty segments: "//host" would be
# another host where an application puts it before its links.
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+;=:@]|%[0-9A-Fa-f]{2})+)*/?")


class Trust(Protocol):
    """Who is believed."""

    def trusts(self, address: str) -> bool:
        """Return whether the host at *address* is trusted."""


class ForwardedInfo(NamedTuple):
    """What the fields of one kind say, as far as it is believed; ``None`` for what they do not."""

    client: str | None = None
    scheme: str | None = None
    host: str | None = None
    port: str | None = None
    prefix: str | None = None


def untrusted_changes(environ: Environ) -> Changes:
    """Return what to change in a request that comes from nobody who is trusted."""
    return {key: None for key in _ALL if key in environ}


def trusted_changes(environ: Environ, trust: Trust, kind: str) -> Changes:
    """Return what to set in *environ*, or to remove where the value is ``None``.

    Args:
        environ: Of a request whose direct peer is trusted; it is not changed.
        trust: Who else is.
        kind: What to read: ``"auto"``, ``"x-forwarded"`` or ``"forwarded"``.

    Raises:
        Refusal: The fields are malformed or contradict one another.
    """
    has_forwarded = bool(environ.get(_FORWARDED_KEY))
    has_x = any(environ.get(key) for key in _READ)
    changes: Changes = {}
    if kind == FORWARDED:
        changes = {key: None for key in (*_READ, *_RELATED) if key in environ}
        has_x = False
    elif kind == X_FORWARDED and has_forwarded:
        changes = {_FORWARDED_KEY: None}
        has_forwarded = False
    info = _read_forwarded(environ, trust, changes) if has_forwarded else ForwardedInfo()
    if has_x:
        said = _read_x_forwarded(environ, trust, changes)
        if has_forwarded and said != info:
            raise _fault("Forwarded and X-Forwarded fields say different things.")
        info = said
    _apply(info, environ, changes)
    return changes


def _fault(reason: str) -> Refusal:
    return Refusal(BAD_REQUEST, reason)


def _read_forwarded(environ: Environ, trust: Trust, changes: Changes) -> ForwardedInfo:
    elements = parse_elements(environ[_FORWARDED_KEY])
    nodes = [element.pairs.get("for") for element in elements]

    def node_at(index: int) -> ForwardedNode | None:
        text = nodes[index]
        return None if text is None else parse_node(text)

    if not elements:
        return ForwardedInfo()
    index, node = _walk(len(elements), node_at, trust)
    changes[_FORWARDED_KEY] = ", ".join(element.text for element in elements[index:])
    said = elements[index].pairs
    _note_port(node, changes)
    return ForwardedInfo(
        client=None if node is None else node.name,
        scheme=_scheme(said["proto"]) if "proto" in said else None,
        host=_host(said["host"]) if "host" in said else None,
    )


def _read_x_forwarded(environ: Environ, trust: Trust, changes: Changes) -> ForwardedInfo:
    hops = _listed(environ, _FOR)
    node: ForwardedNode | None = None
    believed = 1
    if hops:
        index, node = _walk(len(hops), lambda at: parse_node(hops[at], bare_ipv6=True), trust)
        believed = len(hops) - index
        changes[_FOR] = ", ".join(hops[index:])
    _note_port(node, changes)

    def read(key: str, judge: Callable[[str], str]) -> str | None:
        values = _listed(environ, key)
        if not values:
            return None
        # As many proxies as were believed may have appended; the client's side is the leftmost
        # of theirs.
        value = changes[key] = values[max(0, len(values) - believed)]
        return judge(value)

    return ForwardedInfo(
        client=None if node is None else node.name,
        scheme=read(_PROTO, _scheme),
        host=read(_HOST, _host),
        port=read(_PORT, _port),
        prefix=read(_PREFIX, _prefix),
    )


def _walk(
    count: int, node_at: Callable[[int], ForwardedNode | None], trust: Trust
) -> tuple[int, ForwardedNode | None]:
    """Go from the right over trusted hosts; return the place and the node of the client."""
    last: ForwardedNode | None = None
    for index in range(count - 1, -1, -1):
        node = node_at(index)
        if node is None:
            return index, last  # this proxy does not tell for whom: nobody can be asked further
        last = node
        if not trust.trusts(node.name):
            return index, node
    return 0, last


def _listed(environ: Environ, key: str) -> list[str]:
    parts = environ.get(key, "").split(",")
    return [part.strip(" \t") for part in parts if part.strip(" \t")]


def _note_port(node: ForwardedNode | None, changes: Changes) -> None:
    if node is not None:
        # The socket's own port is the proxy's, and says nothing of this client.
        changes["REMOTE_PORT"] = node.port or None


def _scheme(text: str) -> str:
    scheme = _SCHEMES.get(text.lower())
    if scheme is None:
        raise _fault("What a proxy says of the scheme is neither http nor https.")
    return scheme


def _host(text: str) -> str:
    check_host(text)
    if not text or text.startswith(":"):
        raise _fault("What a proxy says of the host is empty.")
    return text


def _port(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise _fault("What a proxy says of the port is no port.")
    return str(int(text))


def _prefix(text: str) -> str:
    path = unquote(text.rstrip("/"), "latin-1")
    segments = path.split("/")
    # An escaped slash, dot segment or control character is somebody's trick.
    if (
        _PATH.fullmatch(text) is None
        or path.count("/") != text.rstrip("/").count("/")
        or "." in segments
        or ".." in segments
        or any(character < " " or character == "\x7f" for character in path)
    ):
        raise _fault("What a proxy says of the prefix is no path.")
    return path


def _apply(info: ForwardedInfo, environ: Environ, changes: Changes) -> None:
    """Put *info* into *changes*, in WSGI's words."""
    if info.client is not None:
        changes["REMOTE_ADDR"] = info.client
    if info.prefix is not None:
        changes["SCRIPT_NAME"] = info.prefix
    if info.scheme is None and info.host is None and info.port is None:
        return
    scheme: str = info.scheme or environ["wsgi.url_scheme"]
    changes["wsgi.url_scheme"] = scheme
    changes["HTTPS"] = "on" if scheme == "https" else None
    host: str = info.host or environ.get("HTTP_HOST", "")
    name, port = _split_port(host)
    default = _DEFAULT_PORTS[scheme]
    if info.port is not None:
        port = info.port
        host = name if port == default else f"{name}:{port}"
    changes["SERVER_PORT"] = port or default
    if name:  # HTTP/1.0 has no Host
        changes["HTTP_HOST"] = host
        changes["SERVER_NAME"] = name


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "")
