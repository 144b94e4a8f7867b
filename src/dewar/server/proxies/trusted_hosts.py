"""The hosts that the server believes what they say about clients."""

from ipaddress import IPv6Address, ip_address

from dewar.server.settings.proxy_checks import (
    EVERYBODY,
    UNIX,
    Network,
    parse_networks,
    split_names,
)

#: The environ key for whether the direct peer is a trusted host. It is set if ``trusted_hosts``
#: is, and removed before the application is called. No field of a request can have this key.
TRUSTS_PEER = "dewar.trusts_peer"


class TrustedHosts:
    """The hosts that are trusted to describe a client.

    SECURITY: a trusted host can pretend to be any client. Name the proxies, not a network that
    clients are in too.

    Args:
        names: Addresses and networks, ``"unix"`` for UNIX sockets, ``"*"`` for everybody.

    Raises:
        SettingsError: A name is no address and no network.
    """

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._everybody = EVERYBODY in names
        self._unix = UNIX in names
        networks = parse_networks(names)
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

        Anything that is not an address, such as ``"unknown"``, is trusted only if everybody is.
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
    return TrustedHosts(split_names(text))
