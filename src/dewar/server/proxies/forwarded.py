"""Descriptions of the client by trusted proxies: ``Forwarded`` (RFC 7239) and ``X-Forwarded-*``.

SECURITY. Any client can send these fields, to pretend to have another address, an encrypted
connection, or another host in the links of a page. The rules:

* They are read if the direct peer is trusted and the setting ``forwarded_headers`` names them. All
  others are removed, so that no application believes them: a proxy passes on the fields that it
  does not set as the client sent them.
* Addresses are read from the right, because each proxy appends the one it has seen. The first that
  is not a trusted host is the client. Everything to the left of it came from the client, and is
  removed.
* If both kinds are named and present, they must agree about the client, the scheme and the host;
  else the request is refused.
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
from dewar.server.settings.forwarded_fields import (
    FOR,
    FORWARDED,
    HOST,
    PORT,
    PREFIX,
    PROTO,
    describing_keys,
)
from dewar.server.wire.errors import BAD_REQUEST
from dewar.server.wire.head import check_host
from dewar.server.wire.request import Environ

Changes = dict[str, str | None]
Fields = dict[str, str]

# What both kinds of fields can say.
_SHARED = (FOR, PROTO, HOST)


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
    return dict.fromkeys(describing_keys(environ))


def trusted_changes(
    environ: Environ, trusted_hosts: TrustedHosts, named: frozenset[str]
) -> Changes:
    """Return the keys to set in *environ*; those with the value ``None`` are to be removed.

    Args:
        environ: The environ of a request whose direct peer is trusted; it is not changed.
        trusted_hosts: All trusted hosts.
        named: The keys of the fields that are believed.

    Raises:
        Refusal: The fields are malformed or contradict each other.
    """
    keys = describing_keys(environ)
    changes: Changes = {key: None for key in keys if key not in named}
    given: Fields = {key: environ[key] for key in keys if key in named and environ[key]}
    info = _read_x_forwarded(given, trusted_hosts, changes)
    if FORWARDED in given:
        other = _read_forwarded(given[FORWARDED], trusted_hosts, changes)
        if not given.keys().isdisjoint(_SHARED) and other[:3] != info[:3]:
            raise Refusal(
                BAD_REQUEST, "The Forwarded and X-Forwarded fields contradict each other."
            )
        info = ForwardedInfo(*other[:3], *info[3:])
    _apply(info, environ, changes)
    return changes


def _read_forwarded(text: str, trusted_hosts: TrustedHosts, changes: Changes) -> ForwardedInfo:
    elements = parse_elements(text)
    nodes = [element.pairs.get("for") for element in elements]

    def node_at(index: int) -> ForwardedNode | None:
        text = nodes[index]
        return None if text is None else parse_node(text)

    if not elements:
        return ForwardedInfo()
    index, node = _walk(len(elements), node_at, trusted_hosts)
    changes[FORWARDED] = ", ".join(element.text for element in elements[index:])
    pairs = elements[index].pairs
    _note_port(node, changes)
    return ForwardedInfo(
        client=None if node is None else node.name,
        scheme=_scheme(pairs["proto"]) if "proto" in pairs else None,
        host=_host(pairs["host"]) if "host" in pairs else None,
    )


def _read_x_forwarded(
    given: Fields, trusted_hosts: TrustedHosts, changes: Changes
) -> ForwardedInfo:
    hops = _listed(given, FOR)
    node: ForwardedNode | None = None
    trusted_count = 1
    if hops:
        index, node = _walk(
            len(hops), lambda at: parse_node(hops[at], bare_ipv6=True), trusted_hosts
        )
        trusted_count = len(hops) - index
        changes[FOR] = ", ".join(hops[index:])
    _note_port(node, changes)

    def read(key: str, parse: Callable[[str], str]) -> str | None:
        values = _listed(given, key)
        if not values:
            return None
        # Each trusted proxy may have appended one value; the one nearest to the client is the
        # leftmost of these.
        value = changes[key] = values[max(0, len(values) - trusted_count)]
        return parse(value)

    return ForwardedInfo(
        client=None if node is None else node.name,
        scheme=read(PROTO, _scheme),
        host=read(HOST, _host),
        port=read(PORT, _port),
        prefix=read(PREFIX, _prefix),
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


def _listed(given: Fields, key: str) -> list[str]:
    parts = given.get(key, "").split(",")
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
