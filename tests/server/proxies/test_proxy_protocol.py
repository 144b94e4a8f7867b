"""The PROXY header: both versions, whole and cut, valid and not."""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.errors import Refusal
from dewar.server.proxies.proxy_protocol import MOST_V1, MOST_V2, ProxyHeader, maybe_proxy_header

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"

ports = st.integers(0, 65535)
families = st.sampled_from([IPv4Address, IPv6Address])


@st.composite
def endpoints(draw: Any) -> tuple[Any, Any, int, int]:
    family = draw(families)
    addresses = st.integers(0, 2**32 - 1 if family is IPv4Address else 2**128 - 1).map(family)
    return draw(addresses), draw(addresses), draw(ports), draw(ports)


def v1(source: Any, destination: Any, source_port: int, destination_port: int) -> bytes:
    family = f"TCP{source.version}"
    return f"PROXY {family} {source} {destination} {source_port} {destination_port}\r\n".encode()


def v2(
    source: Any, destination: Any, source_port: int, destination_port: int, tlvs: bytes = b""
) -> bytes:
    block = source.packed + destination.packed + struct.pack("!HH", source_port, destination_port)
    return raw_v2(0x21, 0x11 if source.version == 4 else 0x21, block + tlvs)


def raw_v2(version: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + bytes([version, family]) + struct.pack("!H", len(block)) + block


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + struct.pack("!H", len(value)) + value


ENDS = IPv4Address("192.0.2.1"), IPv4Address("198.51.100.7"), 56324, 443
SOURCE, DESTINATION = ("192.0.2.1", 56324), ("198.51.100.7", 443)
SSL = tlv(0x20, b"\x01" + b"\0\0\0\0" + tlv(0x21, b"TLSv1.3"))


@given(endpoints(), st.sampled_from([v1, v2]), st.binary(max_size=40))
def test_what_is_written_is_read(ends: Any, write: Any, rest: bytes) -> None:
    """Both versions and families; what follows is not touched."""
    header = write(*ends)
    source, destination, source_port, destination_port = ends
    assert maybe_proxy_header(header + rest) == ProxyHeader(
        len(header), (str(source), source_port), (str(destination), destination_port)
    )


VALID = {
    "the longest line": (
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".ljust(105, b"x") + b"\r\n",
        None,
        False,
    ),
    "unknown": (b"PROXY UNKNOWN\r\n", None, False),
    "version 1": (v1(*ENDS), SOURCE, False),
    "local": (raw_v2(0x20, 0x00, b""), None, False),
    "local, of a family that nobody knows": (raw_v2(0x20, 0xFF, b"12345"), None, False),
    "unspecified": (raw_v2(0x21, 0x00, b""), None, False),
    "unspecified, with addresses": (raw_v2(0x21, 0x00, tlv(4, b"12345")), None, False),
    "a UNIX socket": (raw_v2(0x21, 0x31, bytes(216)), None, False),
    "no transport": (raw_v2(0x21, 0x10, bytes(12)), None, False),
    "datagrams": (raw_v2(0x21, 0x12, v2(*ENDS)[16:]), SOURCE, False),
    "extensions": (v2(*ENDS, tlv(4, b"\0" * 9) + tlv(0x03, b"crc!")), SOURCE, False),
    "TLS": (v2(*ENDS, tlv(1, b"h2") + SSL), SOURCE, True),
    "no TLS": (v2(*ENDS, tlv(0x20, b"\x00\0\0\0\0")), SOURCE, False),
    "an empty extension": (v2(*ENDS, tlv(0x20, b"")), SOURCE, False),
    "the most": (v2(*ENDS, tlv(4, bytes(MOST_V2 - 12 - 3))), SOURCE, False),
}


@pytest.mark.parametrize("name", VALID)
def test_each_kind_is_understood(name: str) -> None:
    """And the byte after it is the client's."""
    data, source, is_secure = VALID[name]
    header = maybe_proxy_header(data + b"G")
    assert header is not None
    assert (header.size, header.source, header.is_secure) == (len(data), source, is_secure)
    assert (header.destination is None) == (source is None)


@pytest.mark.parametrize("name", VALID)
def test_every_cut_waits_for_more(name: str) -> None:
    """No part of a header is taken for the whole."""
    data = VALID[name][0]
    assert [maybe_proxy_header(data[:count]) for count in range(len(data))] == [None] * len(data)


INVALID = {
    "a request": b"GET / HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01",
    "lower case": b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    "another protocol": b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
    "two spaces": b"PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
    "a space at the end": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
    "too few parts": b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "no address": b"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n",
    "an address of the other family": b"PROXY TCP4 ::1 ::1 1 1\r\n",
    "the other way round": b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
    "brackets": b"PROXY TCP6 [::1] [::1] 1 1\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n",
    "a port that is too high": b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
    "a port with a zero before it": b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n",
    "a port with a sign": b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
    "a bare LF": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\nX\r\n",
    "a bare LF in unknown": b"PROXY UNKNOWN \nX\r\n",
    "unknown with a tail": b"PROXY UNKNOWNS\r\n",
    "a line that is too long": b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n",
    "a line that does not end": b"PROXY UNKNOWN ".ljust(MOST_V1, b"x"),
    "version 1 in version 2": raw_v2(0x11, 0x11, bytes(12)),
    "another command": raw_v2(0x22, 0x11, bytes(12)),
    "another family": raw_v2(0x21, 0x41, bytes(12)),
    "another transport": raw_v2(0x21, 0x13, bytes(12)),
    "a block that is too short": raw_v2(0x21, 0x21, bytes(35)),
    "a block that is too long": raw_v2(0x21, 0x11, bytes(MOST_V2 + 1)),
    "an extension that is cut off": v2(*ENDS, tlv(4, b"12345")[:-1]),
    "half an extension": v2(*ENDS, b"\x04\x00"),
}


@pytest.mark.parametrize("name", INVALID)
def test_what_is_no_header_is_refused_in_every_cut(name: str) -> None:
    """Whole, and byte by byte at the latest when all of it is there; nothing is ever made of it."""
    data = INVALID[name]
    with pytest.raises(Refusal, match="400"):
        maybe_proxy_header(data)
    for count in range(len(data)):
        try:
            assert maybe_proxy_header(data[:count]) is None
        except Refusal:
            break


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21"]))
def test_any_bytes_have_one_outcome_however_they_are_cut(data: bytes, start: bytes) -> None:
    """The first verdict over growing parts is the verdict over the whole."""
    data = start + data

    def verdict(part: bytes) -> Any:
        try:
            return maybe_proxy_header(part)
        except Refusal:
            return "refused"

    cuts = (verdict(data[:count]) for count in range(len(data) + 1))
    assert next((found for found in cuts if found is not None), None) == verdict(data)
