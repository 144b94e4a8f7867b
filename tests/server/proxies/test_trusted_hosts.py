"""`trusted_hosts`: who is believed."""

import pytest

from dewar.server.proxies.trusted_hosts import parse_trusted_hosts


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
