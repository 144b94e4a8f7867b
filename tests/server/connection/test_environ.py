"""What TLS adds to the environ."""

import ssl
from types import SimpleNamespace
from typing import Any

import pytest

from dewar.server.connection.environ import tls_environ


class Tls:
    """What a client has shown, without the client."""

    def __init__(
        self, *subject: tuple[tuple[str, str], ...], mode: Any = ssl.CERT_REQUIRED
    ) -> None:
        self.context = SimpleNamespace(verify_mode=mode)
        self._subject = subject

    def version(self) -> str:
        """Return what was agreed on."""
        return "TLSv1.3"

    def cipher(self) -> None:
        """Return nothing, as before the handshake."""

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return the certificate."""
        return b"der" if binary_form else {"subject": self._subject}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("Ada", "Ada"),
        ('a,b+c"d\\e<f>g;h', 'a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h'),
        ("#1", "\\#1"),
        (" a ", "\\ a\\ "),
        (" ", "\\ "),
        ("", ""),
        ("a=b", "a=b"),
        ("a\0b", "a\\00b"),
        ("J\u00fcrgen", "J\u00fcrgen".encode().decode("latin-1")),
    ],
)
def test_a_name_is_written_as_rfc_4514_has_it(value: str, written: str) -> None:
    """So that nobody can write another part into their own."""
    environ = tls_environ(Tls((("commonName", value),)))  # type: ignore[arg-type]
    assert environ["SSL_CLIENT_S_DN"] == f"CN={written}"


def test_the_most_particular_part_comes_first() -> None:
    """Parts that stand together stay together; a name that is not known is left as it is."""
    tls = Tls(
        (("countryName", "DE"),),
        (("organizationName", "Ex"), ("organizationalUnitName", "U")),
        (("emailAddress", "a@b"),),
    )
    environ = tls_environ(tls)  # type: ignore[arg-type]
    assert environ["SSL_CLIENT_S_DN"] == "emailAddress=a@b,O=Ex+OU=U,C=DE"


def test_who_is_not_asked_is_not_told_of() -> None:
    """The protocol is there in any case."""
    environ = tls_environ(Tls(mode=ssl.CERT_NONE))  # type: ignore[arg-type]
    assert environ == {
        "wsgi.url_scheme": "https",
        "HTTPS": "on",
        "SSL_PROTOCOL": "TLSv1.3",
        "SSL_CIPHER": "",
    }
