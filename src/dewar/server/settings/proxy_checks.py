"""Checks of the settings that concern proxies: ``trusted_hosts`` and ``script_name``."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from dewar.server.errors import SettingsError

Network = IPv4Network | IPv6Network

#: What ``trusted_hosts`` may name besides networks: all hosts, and UNIX sockets.
EVERYBODY, UNIX = "*", "unix"

_HELP = 'Name addresses and networks: trusted_hosts="127.0.0.1, 10.0.0.0/8, unix".'
_SCRIPT_NAME = re.compile(r"(?:/[^/?#%\x00-\x20\x7f]+)+")


def split_names(text: str) -> list[str]:
    """Return the parts of *text*, which has commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_networks(hosts: list[str]) -> list[Network]:
    """Return the networks among *hosts*; an address is a network of one.

    Raises:
        SettingsError: A part is no address and no network.
    """
    return [_parse_network(name) for name in hosts if name not in (EVERYBODY, UNIX)]


def check_trust(trusted_hosts: str, proxy_protocol: bool) -> None:
    """Check the settings of these names.

    Raises:
        SettingsError: A trusted host is invalid, or ``proxy_protocol`` has none.
    """
    hosts = split_names(trusted_hosts)
    parse_networks(hosts)
    if proxy_protocol and not hosts:
        raise SettingsError(
            "proxy_protocol=True needs trusted_hosts, because whoever sends a PROXY header can"
            " pretend to be any client. Name the proxies:"
            ' proxy_protocol=True, trusted_hosts="10.0.0.1".'
        )


def check_script_name(path: str) -> None:
    """Check the path that an application is mounted at.

    Raises:
        SettingsError: It is not a path that starts with a slash and ends without one.
    """
    if _SCRIPT_NAME.fullmatch(path) is None or {".", ".."} & set(path.split("/")):
        raise SettingsError(
            f"script_name={path!r} is not a valid path. Start it with a slash and end it without"
            ' one: script_name="/shop".'
        )


def _parse_network(name: str) -> Network:
    try:
        return ip_network(name)
    except ValueError:
        pass
    try:
        meant = ip_network(name, strict=False)
    except ValueError:
        raise SettingsError(
            f"trusted_hosts has {name!r}, which is neither an address nor a network. {_HELP}"
        ) from None
    raise SettingsError(
        f"trusted_hosts has {name!r}, which has bits set after the network part. Did you mean"
        f" {str(meant)!r}?"
    )
