"""Apps by host: exact names, and ``*.example.com`` for all names with that ending."""

import ipaddress
import re
from collections.abc import Iterator
from wsgiref.types import WSGIApplication, WSGIEnvironment

from dewar.mounting.errors import MountError
from dewar.mounting.paths import Part, longest

# A name of the DNS has at most 253 octets (RFC 1035, 2.3.4): a longer one is not looked for.
_LONGEST = 253
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def host_of(environ: WSGIEnvironment) -> str:
    """Return the host of a request in lower case, without the port and the last dot."""
    host: str = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    if host.startswith("["):
        # An IPv6 address has colons of its own (RFC 3986, 3.2.2).
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().removesuffix(".")


def checked_host(host: str) -> str:
    """Return a host to mount at, in the form of `host_of`.

    Raises:
        MountError: If no request could have it.
    """
    found = host.lower().removesuffix(".")
    if found.startswith("["):
        address = _maybe_address(found)
        if address is not None:
            return address
    elif not found.isascii():
        found = _in_ascii(found)
    if not _NAME.fullmatch(found) or ".." in found or len(found) > _LONGEST:
        raise MountError(
            f"{host!r} is not a host to mount an app at. Write a name or an address without a port,"
            " 'api.example.com' or '[::1]', or '*.example.com' for all names with that ending."
        )
    return found


def fits(pattern: str, host: str) -> bool:
    """Whether a host matches a pattern that `checked_host` returned."""
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


class Hosts:
    """The apps by host. An exact name goes before ``*.``, a longer ending before a shorter one."""

    def __init__(self) -> None:
        self._mounts: dict[str, dict[str, WSGIApplication]] = {}

    def __iter__(self) -> Iterator[tuple[str, str, WSGIApplication]]:
        """Yield each host, path and app."""
        for host, mounts in self._mounts.items():
            for path, app in mounts.items():
                yield host, path, app

    def __repr__(self) -> str:
        return f"<Hosts {sorted(self._mounts)}>"

    def has(self, host: str, path: str) -> bool:
        """Whether something is mounted there."""
        return path in self._mounts.get(host, ())

    def add(self, host: str, path: str, app: WSGIApplication) -> None:
        """Mount an app at a host and a path that have been checked."""
        # Replaced as a whole, so that a request never meets a dict that changes.
        self._mounts = {**self._mounts, host: {**self._mounts.get(host, {}), path: app}}

    def find(self, environ: WSGIEnvironment) -> tuple[str, Part] | None:
        """Return the host as it was mounted, and the part of the path; None without a mount."""
        mounts = self._mounts
        if not mounts:
            return None
        host, path = host_of(environ), environ.get("PATH_INFO", "")
        for pattern in (host, *_wildcards(host)):
            if pattern in mounts:
                part = longest(mounts[pattern], path)
                if part is not None:
                    return pattern, part
        return None


def _wildcards(host: str) -> Iterator[str]:
    """Yield the patterns that match a host, the longest first."""
    rest = host if len(host) <= _LONGEST and not host.startswith("[") else ""
    while rest:
        _, _, rest = rest.partition(".")
        if rest:
            yield f"*.{rest}"


def _maybe_address(host: str) -> str | None:
    try:
        address = ipaddress.IPv6Address(host[1:-1]) if host[-1] == "]" else None
    except ValueError:
        return None
    if address is None or address.ipv4_mapped is None:
        return None if address is None else f"[{address.compressed}]"
    # As browsers write it; from 3.13 on Python shows such an address with dots.
    high, low = divmod(int(address.ipv4_mapped), 0x10000)
    return f"[::ffff:{high:x}:{low:x}]"


def _in_ascii(host: str) -> str:
    """Return a name in the form of the DNS, or unchanged if it has none."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host
