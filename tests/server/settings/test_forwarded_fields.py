"""The names of the fields in which proxies describe clients."""

import pytest

from dewar.server.errors import SettingsError
from dewar.server.settings.forwarded_fields import USUAL, describing_keys, parse_forwarded_headers
from dewar.server.settings.settings import Settings


def test_names_become_keys_of_the_environ() -> None:
    """In any case, and `x-forwarded` is short for what nearly every proxy sets."""
    assert parse_forwarded_headers("Forwarded, X-Real-IP") == {"HTTP_FORWARDED", "HTTP_X_REAL_IP"}
    assert parse_forwarded_headers("x-forwarded") == parse_forwarded_headers(USUAL)
    assert parse_forwarded_headers("x-forwarded, x-forwarded-port") == {
        *parse_forwarded_headers(USUAL),
        "HTTP_X_FORWARDED_PORT",
    }
    assert parse_forwarded_headers("") == set()


@pytest.mark.parametrize(
    ("text", "part", "repair"),
    [
        ("auto", "'auto'", "Name the fields that your proxy sets"),
        ("x-forwarded-for, host", "'host'", "Name the fields"),
        ("x-forwarded-", "'x-forwarded-'", "Did you mean"),
        ("x_forwarded_for", "'x_forwarded_for'", "Did you mean 'x-forwarded-for'"),
        ("x-forwarded-f\u00f6r", "which is not a field", "Did you mean 'x-forwarded-for'"),
        ("x-real-lp", "'x-real-lp'", "Did you mean 'x-real-ip'"),
    ],
)
def test_another_name_is_refused(text: str, part: str, repair: str) -> None:
    """A name that is not read would believe nobody, or everybody."""
    with pytest.raises(SettingsError, match=part) as caught:
        Settings(forwarded_headers=text)
    assert repair in str(caught.value)
    assert caught.value.setting == "forwarded_headers"


def test_the_whole_family_describes_a_client() -> None:
    """Also a field of it that nobody knows yet."""
    environ: dict[str, object] = dict.fromkeys(
        ["HTTP_X_FORWARDED_NEW", "HTTP_FORWARDED", "HTTP_X_FORWARDED", "HTTP_HOST", "HTTP_FORWARD"]
    )
    assert describing_keys(environ) == [
        "HTTP_X_FORWARDED_NEW",
        "HTTP_FORWARDED",
        "HTTP_X_FORWARDED",
    ]
