"""`SSRFGuard`: which URLs may be called back, and at which addresses.

A callback's URL comes from others, who would like to have this server call what only it can
reach (server-side request forgery). The rules:

1. A URL is taken apart once, here. Nothing else parses it: what is connected to and what is sent
   come from the parts.
2. A name is resolved once for each attempt, and the addresses that were looked at are those that
   are connected to. A name that moves in between moves nothing.
3. All addresses of a name must be public, or be allowed. What is looked at is what the system's
   resolver gives, so that it doesn't matter how the URL spells an address.
"""

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from dewar.tasks.errors import CallbackRefused, TaskSetupError
from dewar.tasks.webhooks.ip_addresses import IPAddress, is_public, read_address

#: As `socket.getaddrinfo`.
Resolve = Callable[..., list[tuple[Any, ...]]]

_PORTS = {"http": 80, "https": 443}
#: Ports below belong to other protocols, some of which would make sense of a POST.
_RESERVED = 1024
#: Characters of a URL; what browsers and proxies take.
_LONGEST = 2048
_SAFE = "%/:=&?~+!$,;'@()*[]"
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\\s]")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]+(%[^/]*)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """A URL, taken apart."""

    scheme: str
    #: The name or address, in ASCII and lower case.
    host: str
    port: int
    #: What is asked for: the path and the query.
    target: str

    @property
    def host_header(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A destination with the addresses at which it may be called, in the resolver's order."""

    destination: Destination
    #: Each a family and a socket address, as `socket.socket.connect` takes it.
    addresses: tuple[tuple[socket.AddressFamily, Any], ...]


class SSRFGuard:
    """Decides where callbacks may go. It never changes, and any thread may use it.

    Args:
        allow: What may be called though it is not public: networks (``10.1.0.0/16``), addresses,
            and names, at whatever address they are.
        resolve: As `socket.getaddrinfo`.

    Raises:
        TaskSetupError: If something in `allow` is neither.
    """

    def __init__(self, allow: Sequence[str] = (), resolve: Resolve = socket.getaddrinfo) -> None:
        if isinstance(allow, str):
            raise TaskSetupError(f"What callbacks may reach is a list: allow=[{allow!r}].")
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
                    f"{entry!r} cannot be allowed: it is no network such as '10.1.0.0/16' (with"
                    " no bits behind the mask), no address and no host's name."
                ) from None
            self._names |= {entry.lower().rstrip(".")}

    def check(self, url: str) -> Destination:
        """Return the parts of a URL that may be called as far as can be told without resolving.

        Raises:
            CallbackRefused: Otherwise.
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
        """Return the ways to a URL, having resolved its name. It blocks as the resolver does.

        Raises:
            CallbackRefused: If it may not be called.
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
                f"The callback {url!r} goes to port {port}, which is another protocol's. Take 80,"
                f" 443, or one from {_RESERVED} on; or allow the host by its name."
            )

    def _allows(self, host: str, address: IPAddress | None) -> bool:
        if host in self._names:
            return True
        return address is not None and any(address in network for network in self._networks)

    def __repr__(self) -> str:
        allowed = [*map(str, self._networks), *sorted(self._names)]
        return f"<SSRFGuard, allowing {', '.join(allowed) or 'what is public'}>"


def _split(url: str) -> SplitResult:
    url = str(url)  # it may have come as JSON, and be anything
    if len(url) > _LONGEST:
        raise CallbackRefused(f"A callback's URL has at most {_LONGEST} characters.")
    if _NOT_IN_A_URL.search(url):
        raise CallbackRefused(f"The callback {url!r} has a space, a backslash or the like in it.")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise CallbackRefused(f"The callback {url!r} is no URL: {error}.") from None
    if parts.scheme not in _PORTS:
        raise CallbackRefused(f"The callback {url!r} begins with neither https:// nor http://.")
    if "@" in parts.netloc:
        # Not shown: it is a password.
        raise CallbackRefused("A callback's URL has no user or password; it is signed instead.")
    return parts


def _ascii_host(host: str) -> str:
    # Refuses labels that are empty or too long, as the resolver would.
    name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name")
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
        f"The callback {url!r} may not be called: {reason}. If it is to reach a network of your"
        " own, allow that network or name: TASKS_CALLBACK_ALLOW=['10.1.0.0/16', 'hooks.internal']."
    )
