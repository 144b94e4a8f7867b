"""Which hosts in front of the server are believed."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from dewar.server.errors import SettingsError
from dewar.server.proxies.forwarded import KINDS

Network = IPv4Network | IPv6Network

_HELP = 'Name addresses and networks: trusted_hosts="127.0.0.1, 10.0.0.0/8, unix".'


class TrustedHosts:
    """The hosts whose word about a client is taken.

    SECURITY: whoever is in here can pass for any client. Name the proxies, not the network that
    clients are in too.

    Args:
        names: Addresses and networks, ``"unix"`` for UNIX sockets, ``"*"`` for everybody.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._everybody = "*" in self._names
        self._unix = "unix" in self._names
        networks = [_network(name) for name in self._names if name not in ("*", "unix")]
        self._networks: dict[int, list[Network]] = {
            version: [network for network in networks if network.version == version]
            for version in (4, 6)
        }

    def __repr__(self) -> str:
        return f"<TrustedHosts {', '.join(self._names) or 'none'}>"

    def __bool__(self) -> bool:
        """Return whether anybody is trusted."""
        return bool(self._names)

    def trusts(self, address: str) -> bool:
        """Return whether the host at *address* is trusted; ``""`` stands for a UNIX socket.

        What is no address (``"unknown"``, say) is not trusted, unless everybody is.
        """
        if self._everybody:
            return True
        if not address:
            return self._unix
        try:
            host = ip_address(address)
        except ValueError:
            return False
        if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
            host = host.ipv4_mapped
        return any(host in network for network in self._networks[host.version])


def parse_trusted_hosts(text: str) -> TrustedHosts:
    """Return the hosts that *text*, the setting ``trusted_hosts``, names.

    Raises:
        SettingsError: A part of it is no address and no network.
    """
    return TrustedHosts([part.strip() for part in text.split(",") if part.strip()])


def check_trust(trusted_hosts: str, forwarded_headers: str, proxy_protocol: bool) -> None:
    """Check the settings of these names.

    Raises:
        SettingsError: One has no meaning, or none without another.
    """
    parse_trusted_hosts(trusted_hosts)
    if forwarded_headers not in KINDS:
        raise SettingsError(
            f"forwarded_headers={forwarded_headers!r} is none of {', '.join(map(repr, KINDS))}."
        )
    if proxy_protocol and not trusted_hosts.strip(", "):
        raise SettingsError(
            "proxy_protocol=True needs to know who may send a PROXY header, for who can may pass"
            ' for any client. Name the proxies: proxy_protocol=True, trusted_hosts="10.0.0.1".'
        )


def _network(name: str) -> Network:
    try:
        return ip_network(name)
    except ValueError:
        pass
    try:
        meant = ip_network(name, strict=False)
    except ValueError:
        raise SettingsError(
            f"trusted_hosts names {name!r}, which is no address and no network. {_HELP}"
        ) from None
    raise SettingsError(
        f"trusted_hosts names {name!r}, which has bits behind the network's. Did you mean"
        f" {str(meant)!r}?"
    )
