"""`SSRFGuard`: the URLs that may be called, and the addresses.

A callback's URL comes from clients, which could make this server call hosts that only it can reach
(server-side request forgery). The rules:

1. A URL is parsed once, here. The connection and the request are made from its parts.
2. A name is resolved once for each attempt, and the checked addresses are the ones that are
   connected to. A name that changes in between has no effect.
3. All addresses of a name must be public or allowed. The resolver's answer is checked, so the
   spelling of an address in the URL does not matter.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from dewar.tasks.errors import CallbackRefused, TaskSetupError

IPAddress = IPv4Address | IPv6Address
#: The signature of `socket.getaddrinfo`.
Resolve = Callable[..., list[tuple[Any, ...]]]

_PORTS = {"http": 80, "https": 443}
#: Lower ports belong to other protocols, some of which would accept a POST as a command.
_RESERVED = 1024
#: The most characters of a URL, as in browsers and proxies.
_LONGEST = 2048
_SAFE = "%/:=&?~+!$,;'@()*[]"
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\\s]")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]+(%[^/]*)?")
# The networks that are not public, from IANA's registries of special-purpose addresses (RFC 6890).
# They are written out, because `ipaddress.is_private` differs between versions of Python.
_NOT_PUBLIC_4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # this host, RFC 1122
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # behind a carrier's NAT, RFC 6598; the metadata of some clouds
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's own services, at a public address
            "169.254.0.0/16",  # link-local; the metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; the metadata of Oracle's cloud
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT relays
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
#: The addresses assigned as unicast, without loopback, link-local, ``fc00::/7``, multicast and
#: IPv4-mapped ones (``::ffff:0:0/96``).
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them, which holds an IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which holds an IPv4 address
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
#: Networks without IPv4 reach the IPv4 address in the last four bytes through it, RFC 6052.
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """The parts of a URL."""

    scheme: str
    #: The name or address, in ASCII and lower case.
    host: str
    port: int
    #: The path and the query.
    target: str

    @property
    def host_header(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A destination with the addresses that may be called, in the resolver's order."""

    destination: Destination
    #: Each is a family and a socket address, as `socket.socket.connect` takes it.
    addresses: tuple[tuple[socket.AddressFamily, Any], ...]


class SSRFGuard:
    """Decides which URLs may be called. It never changes, and any thread may use it.

    Args:
        allow: What may be called although it is not public: networks (``10.1.0.0/16``), addresses,
            and names, at any address.
        resolve: A function like `socket.getaddrinfo`.

    Raises:
        TaskSetupError: If an entry of `allow` is none of these.
    """

    def __init__(self, allow: Sequence[str] = (), resolve: Resolve = socket.getaddrinfo) -> None:
        if isinstance(allow, str):
            raise TaskSetupError(f"Allowed networks and hosts must be a list: allow=[{allow!r}].")
        self._networks: tuple[IPv4Network | IPv6Network, ...] = ()
        self._names: frozenset[str] = frozenset()
        for entry in allow:
            self._add(entry)
        self._resolve = resolve

    def _add(self, entry: str) -> None:
        try:
            self._networks += (ip_network(entry),)
        except ValueError:
            if "/" in entry or not _NAME.fullmatch(entry):
                raise TaskSetupError(
                    f"{entry!r} cannot be allowed: it is not a network such as '10.1.0.0/16' (with"
                    " no bits after the mask), an address, or the name of a host."
                ) from None
            self._names |= {entry.lower().rstrip(".")}

    def check(self, url: str) -> Destination:
        """Return the parts of a URL, after the checks that need no resolver.

        Raises:
            CallbackRefused: If the URL may not be called.
        """
        parts = _split(url)
        try:
            host = _ascii_host(parts.hostname or "")
            port = parts.port
        except ValueError as error:
            raise CallbackRefused(f"The callback {url!r} has no valid host: {error}.") from None
        destination = Destination(
            scheme=parts.scheme,
            host=host,
            port=_PORTS[parts.scheme] if port is None else port,
            target=_target_of(parts),
        )
        self._check_place(url, destination)
        return destination

    def route(self, url: str) -> Route:
        """Resolve the name of a URL, and return the addresses to call. It blocks on the resolver.

        Raises:
            CallbackRefused: If the URL may not be called.
            OSError: If the name cannot be resolved.
        """
        destination = self.check(url)
        found = self._resolve(destination.host, destination.port, type=socket.SOCK_STREAM)
        for *_, place in found:
            address = read_address(place[0])
            if not is_public(address) and not self._allows(destination.host, address):
                raise _refused(url, f"{destination.host} is at {place[0]}")
        addresses = tuple(dict.fromkeys((family, place) for family, *_, place in found))
        if not addresses:
            raise OSError(f"{destination.host} has no address")
        return Route(destination=destination, addresses=addresses)

    def _check_place(self, url: str, destination: Destination) -> None:
        host, port = destination.host, destination.port
        address = _maybe_address(host)
        is_allowed = self._allows(host, address)
        if address is not None and not is_allowed and not is_public(address):
            raise _refused(url, f"{host} is not public")
        if (
            _is_local(host)
            and not is_allowed
            and not any(net.is_loopback for net in self._networks)
        ):
            raise _refused(url, f"{host} is this machine")
        if port < _RESERVED and port not in _PORTS.values() and not is_allowed:
            raise CallbackRefused(
                f"The callback {url!r} goes to port {port}, which belongs to another protocol. Use"
                f" 80, 443, or a port from {_RESERVED} on; or allow the host by its name."
            )

    def _allows(self, host: str, address: IPAddress | None) -> bool:
        if host in self._names:
            return True
        return address is not None and any(address in network for network in self._networks)

    def __repr__(self) -> str:
        allowed = [*map(str, self._networks), *sorted(self._names)]
        return f"<SSRFGuard, allowing {', '.join(allowed) or 'what is public'}>"


def read_address(text: str) -> IPAddress:
    """Return the address in a text from `socket.getaddrinfo`, without its zone.

    Raises:
        ValueError: If the text is not an address.
    """
    return ip_address(text.partition("%")[0])


def is_public(address: IPAddress) -> bool:
    """Return whether an address belongs to a host on the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _split(url: Any) -> SplitResult:
    # It may come from JSON and have any type.
    if not isinstance(url, str):
        raise CallbackRefused(f"A callback's URL is a text, and this is a {type(url).__name__}.")
    if not _is_sendable(url):
        raise CallbackRefused("A callback's URL may not have half of a surrogate pair in it.")
    if len(url) > _LONGEST:
        raise CallbackRefused(f"A callback's URL may have at most {_LONGEST} characters.")
    if _NOT_IN_A_URL.search(url):
        raise CallbackRefused(f"The callback {url!r} has a space, backslash or control character.")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise CallbackRefused(f"The callback {url!r} is not a URL: {error}.") from None
    if parts.scheme not in _PORTS:
        raise CallbackRefused(f"The callback {url!r} must begin with https:// or http://.")
    if "@" in parts.netloc:
        # Do not show the URL: it has a password in it.
        raise CallbackRefused(
            "A callback's URL may not have a user or password; it is signed instead."
        )
    return parts


def _is_sendable(url: str) -> bool:
    try:
        url.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _ascii_host(host: str) -> str:
    # Refuses labels that are empty or too long, as the resolver would.
    name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a host name")
    return name


def _maybe_address(host: str) -> IPAddress | None:
    try:
        return read_address(host)
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _target_of(parts: SplitResult) -> str:
    path = quote(parts.path, safe=_SAFE) or "/"
    return f"{path}?{quote(parts.query, safe=_SAFE)}" if parts.query else path


def _refused(url: str, reason: str) -> CallbackRefused:
    return CallbackRefused(
        f"The callback {url!r} may not be called: {reason}. To reach an internal network or"
        " host, allow it: TASKS_CALLBACK_ALLOW=['10.1.0.0/16', 'hooks.internal']."
    )
