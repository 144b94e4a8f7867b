"""`trusted_hosts`: who is believed."""

import pytest

from dewar.server.errors import SettingsError
from dewar.server.proxies.trusted_hosts import parse_trusted_hosts
from dewar.server.settings.settings import Settings


@pytest.mark.parametrize(
    ("text", "address", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("10.0.0.0/8, ::1", "10.200.3.4", True),
        ("10.0.0.0/8, ::1", "::1", True),
        ("10.0.0.0/8, ::1", "0:0:0:0:0:0:0:1", True),
        ("10.0.0.0/8, ::1", "11.0.0.1", False),
        ("2001:db8::/32", "2001:db8::5", True),
        ("2001:db8::/32", "10.0.0.1", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "unknown", False),
        ("127.0.0.1", "unix", False),
        ("unix", "", True),
        ("unix", "127.0.0.1", False),
        ("*", "203.0.113.9", True),
        ("*", "", True),
        ("*", "unknown", True),
        ("", "127.0.0.1", False),
        (" , ", "", False),
    ],
)
def test_a_host_is_trusted_if_it_is_named(text: str, address: str, expected: bool) -> None:
    """By its address, its network, its kind of socket, or with everybody."""
    assert parse_trusted_hosts(text).trusts(address) is expected


@pytest.mark.parametrize(
    ("text", "part", "repair"),
    [
        ("127.0.0.1, proxy.test", "'proxy.test'", "Name addresses and networks"),
        ("10.0.0.1/8", "'10.0.0.1/8'", "Did you mean '10.0.0.0/8'"),
        ("1.2.3", "'1.2.3'", "Name addresses"),
        ("10.0.0.0/33", "'10.0.0.0/33'", "Name addresses"),
        ("UNIX", "'UNIX'", "Name addresses"),
    ],
)
def test_the_part_that_is_wrong_is_named(text: str, part: str, repair: str) -> None:
    """With the way to write it."""
    with pytest.raises(SettingsError, match=part) as caught:
        Settings(trusted_hosts=text)
    assert repair in str(caught.value)


def test_the_proxy_protocol_needs_somebody_to_trust() -> None:
    """The error shows the right call."""
    with pytest.raises(SettingsError, match=r'proxy_protocol=True, trusted_hosts="10.0.0.1"'):
        Settings(proxy_protocol=True)
    assert Settings(proxy_protocol=True, trusted_hosts="*").proxy_protocol


def test_there_are_three_kinds_of_forwarded_headers() -> None:
    """Another word is refused, with the words there are."""
    with pytest.raises(SettingsError, match="forwarded_headers='both' must be"):
        Settings(forwarded_headers="both")
