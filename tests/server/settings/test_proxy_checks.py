"""The checks of ``trusted_hosts`` and ``proxy_protocol``."""

import pytest

from dewar.server.errors import SettingsError
from dewar.server.settings.settings import Settings


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
