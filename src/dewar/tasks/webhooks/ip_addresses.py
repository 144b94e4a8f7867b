"""Which IP addresses belong to the public internet, and which to a network of one's own.

Sources: IANA's registries of special-purpose addresses for IPv4 and IPv6 (RFC 6890). The table is
written out, because what `ipaddress` calls private differs between versions of Python.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

IPAddress = IPv4Address | IPv6Address

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
#: What is assigned as unicast at all. Loopback, link-local, ``fc00::/7``, multicast and IPv4 in
#: IPv6 clothes (``::ffff:0:0/96``) are outside.
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
#: Networks without IPv4 reach it so, by way of the address in the last four bytes, RFC 6052.
_NAT64 = IPv6Network("64:ff9b::/96")


def read_address(text: str) -> IPAddress:
    """Return the address of a text as `socket.getaddrinfo` gives it, without its zone.

    Raises:
        ValueError: If it is none.
    """
    return ip_address(text.partition("%")[0])


def is_public(address: IPAddress) -> bool:
    """Return whether an address is a host's on the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address in _NAT64:
        return is_public(IPv4Address(address.packed[-4:]))
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)
