"""Descriptions of the client by trusted proxies: ``Forwarded`` (RFC 7239) and ``X-Forwarded-*``.

SECURITY. Any client can send these fields, to pretend to have another address, an encrypted
connection, or another host in the links of a page. The rules:

* They are read if the direct peer is trusted. From any other peer they are removed, so that no
  application believes them.
* Addresses are read from the right, because each proxy appends the one it has seen. The first that
  is not a trusted host is the client. Everything to the left of it came from the client, and is
  removed.
* A proxy that sets one kind of field passes the other kind on as the client sent it. If both are
  present they must agree; else the request is refused. Setting ``forwarded_headers`` to the kind
  that the proxies set removes the other.
* A malformed field from a trusted proxy is refused: a guess could be wrong.
* If the client is not known ("unknown"), the request does not keep the proxy's address, which the
  application may trust.
"""

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

from dewar.server.errors import Refusal
from dewar.server.proxies.forwarded_node import ForwardedNode, parse_elements, parse_node
from dewar.server.proxies.trusted_hosts import TrustedHosts
from dewar.server.wire.errors import BAD_REQUEST
from dewar.server.wire.head import check_host
from dewar.server.wire.request import Environ

Changes = dict[str, str | None]

X_FORWARDED, FORWARDED = "x-forwarded", "forwarded"

_FORWARDED_KEY = "HTTP_FORWARDED"
_FOR = "HTTP_X_FORWARDED_FOR"
_PROTO = "HTTP_X_FORWARDED_PROTO"
_HOST = "HTTP_X_FORWARDED_HOST"
_PORT = "HTTP_X_FORWARDED_PORT"
_PREFIX = "HTTP_X_FORWARDED_PREFIX"
_READ = (_FOR, _PROTO, _HOST, _PORT, _PREFIX)
# Not read here, but some applications and middleware read them.
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
# A path in a URL (RFC 3986 §3.3), without empty segments: "//host" would be another host if an
# application puts it before its links.
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+;=:@]|%[0-9A-Fa-f]{2})+)*/?")


class ForwardedInfo(NamedTuple):
    """The trusted values of one kind of field; ``None`` for a value that is not given."""

    client: str | None = None
    scheme: str | None = None
    host: str | None = None
    port: str | None = None
    prefix: str | None = None


def untrusted_changes(environ: Environ) -> Changes:
    """Return the changes to the environ of a request whose peer is not trusted."""
    return {key: None for key in _ALL if key in environ}


def trusted_changes(environ: Environ, trusted_hosts: TrustedHosts, kind: str) -> Changes:
    """Return the keys to set in *environ*; those with the value ``None`` are to be removed.

    Args:
        environ: The environ of a request whose direct peer is trusted; it is not changed.
        trusted_hosts: All trusted hosts.
        kind: The fields to read: ``"auto"``, ``"x-forwarded"`` or ``"forwarded"``.

    Raises:
        Refusal: The fields are malformed or contradict each other.
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
    info = _read_forwarded(environ, trusted_hosts, changes) if has_forwarded else ForwardedInfo()
    if has_x:
        x_info = _read_x_forwarded(environ, trusted_hosts, changes)
        if has_forwarded and x_info != info:
            raise Refusal(
                BAD_REQUEST, "The Forwarded and X-Forwarded fields contradict each other."
            )
        info = x_info
    _apply(info, environ, changes)
    return changes


def _read_forwarded(
    environ: Environ, trusted_hosts: TrustedHosts, changes: Changes
) -> ForwardedInfo:
    elements = parse_elements(environ[_FORWARDED_KEY])
    nodes = [element.pairs.get("for") for element in elements]

    def node_at(index: int) -> ForwardedNode | None:
        text = nodes[index]
        return None if text is None else parse_node(text)

    if not elements:
        return ForwardedInfo()
    index, node = _walk(len(elements), node_at, trusted_hosts)
    changes[_FORWARDED_KEY] = ", ".join(element.text for element in elements[index:])
    pairs = elements[index].pairs
    _note_port(node, changes)
    return ForwardedInfo(
        client=None if node is None else node.name,
        scheme=_scheme(pairs["proto"]) if "proto" in pairs else None,
        host=_host(pairs["host"]) if "host" in pairs else None,
    )


def _read_x_forwarded(
    environ: Environ, trusted_hosts: TrustedHosts, changes: Changes
) -> ForwardedInfo:
    hops = _listed(environ, _FOR)
    node: ForwardedNode | None = None
    trusted_count = 1
    if hops:
        index, node = _walk(
            len(hops), lambda at: parse_node(hops[at], bare_ipv6=True), trusted_hosts
        )
        trusted_count = len(hops) - index
        changes[_FOR] = ", ".join(hops[index:])
    _note_port(node, changes)

    def read(key: str, parse: Callable[[str], str]) -> str | None:
        values = _listed(environ, key)
        if not values:
            return None
        # Each trusted proxy may have appended one value; the one nearest to the client is the
        # leftmost of these.
        value = changes[key] = values[max(0, len(values) - trusted_count)]
        return parse(value)

    return ForwardedInfo(
        client=None if node is None else node.name,
        scheme=read(_PROTO, _scheme),
        host=read(_HOST, _host),
        port=read(_PORT, _port),
        prefix=read(_PREFIX, _prefix),
    )


def _walk(
    count: int, node_at: Callable[[int], ForwardedNode | None], trusted_hosts: TrustedHosts
) -> tuple[int, ForwardedNode | None]:
    """Skip trusted hosts from the right; return the index and the node of the client."""
    last: ForwardedNode | None = None
    for index in range(count - 1, -1, -1):
        node = node_at(index)
        if node is None:
            return index, last  # this proxy does not name its client, so the chain ends here
        last = node
        if not trusted_hosts.trusts(node.name):
            return index, node
    return 0, last


def _listed(environ: Environ, key: str) -> list[str]:
    parts = environ.get(key, "").split(",")
    return [part.strip(" \t") for part in parts if part.strip(" \t")]


def _note_port(node: ForwardedNode | None, changes: Changes) -> None:
    if node is not None:
        # The port of the socket is the proxy's, not this client's.
        changes["REMOTE_PORT"] = node.port or None


def _scheme(text: str) -> str:
    scheme = _SCHEMES.get(text.lower())
    if scheme is None:
        raise Refusal(BAD_REQUEST, "The scheme in a proxy's header is neither http nor https.")
    return scheme


def _host(text: str) -> str:
    check_host(text)
    if not text or text.startswith(":"):
        raise Refusal(BAD_REQUEST, "The host in a proxy's header is empty.")
    return text


def _port(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise Refusal(BAD_REQUEST, "The port in a proxy's header is not a valid port.")
    return str(int(text))


def _prefix(text: str) -> str:
    path = unquote(text.rstrip("/"), "latin-1")
    segments = path.split("/")
    # An escaped slash, dot segment or control character is an attack.
    if (
        _PATH.fullmatch(text) is None
        or path.count("/") != text.rstrip("/").count("/")
        or "." in segments
        or ".." in segments
        or any(character < " " or character == "\x7f" for character in path)
    ):
        raise Refusal(BAD_REQUEST, "The prefix in a proxy's header is not a valid path.")
    return path


def _apply(info: ForwardedInfo, environ: Environ, changes: Changes) -> None:
    """Add *info* to *changes*, as WSGI's keys."""
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
