"""The header that a proxy sends before a connection: haproxy's PROXY protocol, versions 1 and 2.

SECURITY: whoever can send this header can pretend to be any client. So it is read from trusted
hosts only, and they must send it: bytes of a client that look like a header cannot be told from a
proxy's. The result depends on the bytes alone, never on how they were split.

Not supported: the extensions of version 2 (TLVs) are skipped, except for TLS between the client and
the proxy. The optional checksum (PP2_TYPE_CRC32C) is not verified, because TCP has one.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from dewar.server.errors import Refusal
from dewar.server.wire.errors import BAD_REQUEST

# §2.1: "PROXY UNKNOWN" with the two longest addresses and ports, and the line end.
MOST_V1 = 107
# Of version 2, without its first 16 bytes, which have the length. nginx accepts 4096 in total, and
# the protocol allows 65535.
MOST_V2 = 4096

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PREFIX = b"PROXY "
_FIXED = 16

_PORT = rb"(0|[1-9][0-9]{0,4})"
_LINE = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) " + _PORT + b" " + _PORT)
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?")

_LOCAL, _PROXY = 0, 1
_INET, _INET6, _UNIX = 1, 2, 3
# The bytes of one address; of the two, with their ports.
_ADDRESS_SIZES = {_INET: 4, _INET6: 16}
_BLOCK_SIZES = {0: 0, _INET: 12, _INET6: 36, _UNIX: 216}

_TLV_SSL = 0x20
_CLIENT_SSL = 0x01

HostPort = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The description of the client's connection by a proxy.

    Attributes:
        size: The bytes of the header. The client's bytes follow.
        source: The client's address and port; ``None`` if the proxy does not know them, or
            connects for itself, as in a health check.
        destination: The address and port that the client connected to, or ``None``.
        is_secure: Whether the client spoke TLS with the proxy.
    """

    size: int
    source: HostPort | None = None
    destination: HostPort | None = None
    is_secure: bool = False


def maybe_proxy_header(data: bytes) -> ProxyHeader | None:
    """Return the header at the start of *data*, or ``None`` if more bytes are needed.

    Raises:
        Refusal: *data* does not start with a valid header. Close the connection without an
            answer: the client is not known.
    """
    if data[:12] == _SIGNATURE[: len(data)]:
        return _maybe_v2(data)
    if data[:6] == _PREFIX[: len(data)]:
        return _maybe_v1(data)
    raise _fault("there is none")


def _fault(what: str) -> Refusal:
    return Refusal(BAD_REQUEST, f"The PROXY header is not valid: {what}.")


def _maybe_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MOST_V1)
    if end < 0:
        if len(data) >= MOST_V1:
            raise _fault(f"the line has more than {MOST_V1} bytes")
        return None
    line = data[:end]
    size = end + 2
    if _UNKNOWN.fullmatch(line):
        return ProxyHeader(size)
    match = _LINE.fullmatch(line)
    if match is None:
        raise _fault("the line is malformed")
    family, source, destination, source_port, destination_port = (
        g.decode() for g in match.groups()
    )
    address = IPv4Address if family == "4" else IPv6Address
    try:
        ends = str(address(source)), str(address(destination))
    except ValueError:
        raise _fault("an address does not belong to its family") from None
    ports = int(source_port), int(destination_port)
    if max(ports) > 65535:
        raise _fault("a port is above 65535")
    return ProxyHeader(size, (ends[0], ports[0]), (ends[1], ports[1]))


def _maybe_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _FIXED:
        return None
    version, command = data[12] >> 4, data[12] & 15
    family, transport = data[13] >> 4, data[13] & 15
    length = int.from_bytes(data[14:16])
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise _fault("the version or the command is unknown")
    if length > MOST_V2:
        raise _fault(f"it has more than {MOST_V2} bytes")
    if command == _PROXY and (family not in _BLOCK_SIZES or transport > 2):
        raise _fault("the address family is unknown")
    if command == _PROXY and length < _BLOCK_SIZES[family]:
        raise _fault("it is too short for its addresses")
    size = _FIXED + length
    if len(data) < size:
        return None
    if command == _LOCAL:
        return ProxyHeader(size)
    block = data[_FIXED:size]
    is_secure = _says_tls(block[_BLOCK_SIZES[family] :])
    if family not in _ADDRESS_SIZES or not transport:
        return ProxyHeader(size, is_secure=is_secure)
    source, destination = _endpoints(block, _ADDRESS_SIZES[family])
    return ProxyHeader(size, source, destination, is_secure)


def _endpoints(block: bytes, width: int) -> tuple[HostPort, HostPort]:
    address = IPv4Address if width == 4 else IPv6Address
    ports = block[2 * width : 2 * width + 4]
    return (
        (str(address(block[:width])), int.from_bytes(ports[:2])),
        (str(address(block[width : 2 * width])), int.from_bytes(ports[2:])),
    )


def _says_tls(tlvs: bytes) -> bool:
    """Return whether an extension (§2.2) says that the client spoke TLS."""
    is_secure = False
    at = 0
    while at < len(tlvs):
        end = at + 3 + int.from_bytes(tlvs[at + 1 : at + 3])
        if at + 3 > len(tlvs) or end > len(tlvs):
            raise _fault("an extension is cut off")
        if tlvs[at] == _TLV_SSL and end > at + 3:
            is_secure = bool(tlvs[at + 3] & _CLIENT_SSL)
        at = end
    return is_secure
