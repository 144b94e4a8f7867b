"""Whose pages may open WebSockets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.registration.origins import OriginError, Origins

OWN = "https://example.com"


@pytest.mark.parametrize(
    ("origin", "own", "is_same"),
    [
        ("https://example.com", OWN, True),
        ("https://EXAMPLE.com:443", OWN, True),
        ("http://localhost:8000", "http://localhost:8000", True),
        ("http://[::1]:8000", "http://[::1]:8000", True),
        ("http://localhost:80", "http://localhost", True),
        ("http://example.com", OWN, False),
        ("https://example.com:8443", OWN, False),
        ("https://www.example.com", OWN, False),
        ("https://example.com.evil.org", OWN, False),
        ("https://example.com@evil.org", OWN, False),
        ("https://evil.org/https://example.com", OWN, False),
        ("https://evil.org#https://example.com", OWN, False),
        ("null", OWN, False),
        ("", OWN, False),
        ("", "", False),
        ("https://", "https://", False),
        ("https://example.com:port", OWN, False),
        ("https://[example.com", OWN, False),
    ],
)
def test_the_same_scheme_host_and_port_are_allowed(origin: str, own: str, is_same: bool) -> None:
    """And nothing else, unless it was given (RFC 6454 §5)."""
    assert Origins((), "ORIGINS").allow(origin, own) is is_same


def test_given_origins_are_allowed_besides() -> None:
    """However they spell the port and the case."""
    origins = Origins(["https://A.example", "http://b.example:8000"], "ORIGINS")
    for origin in ("https://a.example:443", "http://b.example:8000", OWN):
        assert origins.allow(origin, OWN)
    for origin in ("http://a.example", "http://b.example", "null"):
        assert not origins.allow(origin, OWN)


@pytest.mark.parametrize("given", ["*", ["*"], ["https://a.example", "*"]])
def test_an_asterisk_allows_any(given: object) -> None:
    """Also the opaque origin of a sandboxed page."""
    origins = Origins(given, "ORIGINS")  # type: ignore[arg-type]  # as a configuration has it
    assert origins.allow("https://evil.org", OWN)
    assert origins.allow("null", OWN)


@pytest.mark.parametrize("item", ["example.com", "https://example.com/", "null", "", None, 7])
def test_what_is_no_origin_is_refused(item: object) -> None:
    """The error shows one that is."""
    with pytest.raises(OriginError, match=r"Write: ORIGINS = \['https://example\.com'\]"):
        Origins([item], "ORIGINS")  # type: ignore[list-item]  # as a configuration has it


def test_one_text_is_no_list() -> None:
    """It would be a list of characters."""
    with pytest.raises(OriginError, match=r"Write: ORIGINS = \['https://a\.example'\]"):
        Origins("https://a.example", "ORIGINS")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_has_an_answer(origin: str, own: str) -> None:
    """A client may send anything."""
    assert Origins((), "ORIGINS").allow(origin, own) in {True, False}
