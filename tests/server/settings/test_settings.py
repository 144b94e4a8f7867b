"""`Settings`: each check stands here once, whoever gives the value."""

import ssl
from typing import Any

import pytest

from dewar.server.errors import SettingsError
from dewar.server.settings.settings import Settings


@pytest.mark.parametrize(
    ("values", "setting", "message"),
    [
        ({"max_queue": 0}, "max_queue", "max_queue=0 must be a whole number, 1 or more."),
        ({"max_body": "1M"}, "max_body", "must be a whole number, 0 or more, or None."),
        ({"access_log": 1}, "access_log", "access_log=1 must be True or False."),
        ({"chdir": ""}, "chdir", "chdir='' must be the path of a folder, or None."),
        ({"unix_mode": "888"}, "unix_mode", "permissions in octal, as text such as '660'"),
        ({"script_name": "shop"}, "script_name", "such as '/shop'"),
        ({"access_log_format": "xml"}, "access_log_format", "must be 'combined' or 'json'."),
        ({"ssl_context": "x"}, "ssl_context", "must be an ssl.SSLContext, or None."),
        ({"keyfile": "site.key"}, "keyfile", "keyfile='site.key' needs certfile"),
        ({"client_ca": "ca.pem"}, "client_ca", "client_ca='ca.pem' needs certfile"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], setting: str, message: str) -> None:
    """The error has the name, the value and what it must be, and carries the name."""
    with pytest.raises(SettingsError) as raised:
        Settings(**values)
    assert message in str(raised.value)
    assert raised.value.setting == setting


@pytest.mark.parametrize("name", ["certfile", "keyfile", "client_ca"])
def test_a_context_stands_alone(name: str) -> None:
    """A certificate comes from files or from a context, not from both."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(SettingsError, match=f"{name} and ssl_context exclude each other"):
        Settings(**{name: "x", "ssl_context": context})
    assert Settings(ssl_context=context).ssl_context is context


def test_limits_follow_from_the_settings() -> None:
    """What the wire is told is what was asked for."""
    limits = Settings(max_body=None, max_header_count=7).limits
    assert (limits.body, limits.header_count) == (None, 7)
