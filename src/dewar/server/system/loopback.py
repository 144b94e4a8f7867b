"""Whether an address can be reached from another machine."""

from ipaddress import ip_address


def is_loopback(bind: str) -> bool:
    """Whether none of the addresses can be reached from another machine."""
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
