"""An Internet address in ``bind``, and the socket addresses that it stands for."""

import socket
from ipaddress import ip_address
from typing import NamedTuple

from dewar.server.errors import BindError

HELP = 'Give "host:port", "[::1]:port", "unix:/path", or "systemd" or "fd://3" for open sockets.'

_ANY_IPV4 = ("", "0.0.0.0")  # noqa: S104 - asked for by ":8000"
# RFC 6761 §6.3; a hosts file may have only one of them.
_LOCALHOST = ("127.0.0.1", "::1")
# Of an address as IPv6 shows it (RFC 4291 §2.5.5.2).
_MAPPED = "::ffff:"


class InetAddress(NamedTuple):
    """What a TCP socket is bound to.

    Attributes:
        family: ``AF_INET`` or ``AF_INET6``.
        host: The numeric address, perhaps with a scope.
        port: 0 stands for a free one.
        scope: The scope of an IPv6 address, else 0.
    """

    family: socket.AddressFamily
    host: str
    port: int
    scope: int = 0

    @property
    def is_any_ipv6(self) -> bool:
        """Whether it stands for all IPv6 addresses of the machine."""
        return self.family == socket.AF_INET6 and ip_address(self.host).is_unspecified

    def with_port(self, port: int) -> "InetAddress":
        """Return the same with another port."""
        return self._replace(port=port)

    def for_socket(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """Return what `socket.bind` takes."""
        if self.family == socket.AF_INET6:
            return self.host, self.port, 0, self.scope
        return self.host, self.port


def resolve(bind: str) -> list[InetAddress]:
    """Return the addresses that *bind* stands for: all those of a name.

    Args:
        bind: ``"host:port"``, ``"[::1]:port"`` or ``":port"``.

    Raises:
        BindError: It is no address, or the host is not known.
    """
    host, port = _split(bind)
    hosts = _LOCALHOST if host == "localhost" else (host or _ANY_IPV4[1],)
    found: dict[InetAddress, None] = {}  # a dict keeps the order; some hosts files name one twice
    try:
        for each in hosts:
            flags = socket.AI_PASSIVE
            for family, *_, address in socket.getaddrinfo(
                each, port, type=socket.SOCK_STREAM, flags=flags
            ):
                scope = address[3] if len(address) > 3 else 0
                found[InetAddress(family, str(address[0]), port, int(scope))] = None
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        raise BindError(bind, f"the host is not known. {HELP}") from error
    return list(found)


def names_any_ipv4(bind: str, port: int) -> bool:
    """Return whether *bind* stands for all IPv4 addresses, with that port."""
    try:
        host, own_port = _split(bind)
    except BindError:
        return False
    return host in _ANY_IPV4 and own_port == port


def unmapped(host: str) -> str:
    """Return an IPv4 address as such if *host* is one that is mapped into IPv6.

    A socket for both families tells IPv4 clients in that way.
    """
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


def is_loopback(bind: str) -> bool:
    """Return whether no address in *bind* can be reached from another machine."""
    return all(_is_loopback(address.strip()) for address in bind.split(","))


def _is_loopback(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _split(bind: str) -> tuple[str, int]:
    host, colon, port = bind.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    is_number = port.isascii() and port.isdecimal() and len(port) < 6
    if not colon or not is_number or int(port) > 65535 or (":" in host and not bracketed):
        raise BindError(bind, f"it is not an address. {HELP}")
    return host[1:-1] if bracketed else host, int(port)
