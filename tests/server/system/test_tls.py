"""`tls`: a context from files, and what is said of files that are wrong."""

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from certificates import Certificates
from dewar.server import Server, Settings
from dewar.server.errors import SettingsError
from dewar.server.system.tls import make_context


def app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return [b""]


def test_a_context_is_made_with_care(certificates: Certificates) -> None:
    """TLS 1.2 at least, no renegotiation, no certificate asked for unless there is an authority."""
    context = make_context(**certificates.pair())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode is ssl.CERT_NONE
    strict = make_context(**certificates.pair(), client_ca=certificates.path("ca.pem"))
    assert strict.verify_mode is ssl.CERT_REQUIRED


def test_certificate_and_key_may_be_in_one_file(certificates: Certificates) -> None:
    """Then the key need not be named."""
    assert make_context(certificates.path("both.pem"))


WRONG = [
    ({"certfile": "none.pem"}, ["certfile=", "none.pem", "No such file"]),
    ({"certfile": "."}, ["certfile=", "cannot be read"]),
    ({"certfile": "empty.pem"}, ["certfile=", "empty.pem", "BEGIN CERTIFICATE"]),
    (
        {"certfile": "text.pem", "keyfile": "server.key"},
        ["certfile=", "text.pem", "no certificate"],
    ),
    ({"certfile": "server.key", "keyfile": "server.key"}, ["certfile=", "no certificate"]),
    ({"certfile": "server.pem"}, ["server.pem", "no readable key", "keyfile='key.pem'"]),
    ({"certfile": "server.pem", "keyfile": "none.key"}, ["keyfile=", "none.key", "No such file"]),
    (
        {"certfile": "server.pem", "keyfile": "empty.pem"},
        ["keyfile=", "empty.pem", "no key in PEM"],
    ),
    (
        {"certfile": "server.pem", "keyfile": "other.key"},
        ["other.key", "does not belong to", "server.pem"],
    ),
    (
        {"certfile": "server.pem", "keyfile": "locked.key"},
        ["locked.key", "encrypted", "ssl_context"],
    ),
    ({"certfile": "both.pem", "client_ca": "none.pem"}, ["client_ca=", "none.pem", "No such file"]),
    ({"certfile": "both.pem", "client_ca": "server.key"}, ["client_ca=", "BEGIN CERTIFICATE"]),
]


@pytest.mark.parametrize(("files", "said"), WRONG, ids=lambda value: str(value))
def test_a_file_that_is_wrong_is_named_before_anything_is_listened_on(
    certificates: Certificates, files: dict[str, str], said: list[str]
) -> None:
    """With what would be right."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = {name: certificates.path(file) for name, file in files.items()}
    with pytest.raises(SettingsError) as caught:
        Server(app, Settings(bind=f"127.0.0.1:{port}", **paths)).start()
    assert [part for part in said if part not in str(caught.value)] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_key_that_may_not_be_read_is_named(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its setting."""

    def forbid(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", forbid)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
        make_context(**certificates.pair())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keyfile": "k"}, "keyfile='k' needs certfile"),
        ({"client_ca": "c"}, "client_ca='c' needs certfile"),
        ({"ssl_context": "adhoc"}, "must be an ssl.SSLContext"),
        (
            {"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "certfile": "c"},
            "exclude each other",
        ),
        ({"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}, "is for clients"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(settings: Any, said: str) -> None:
    """When the settings are made, without a look at the files."""
    with pytest.raises(SettingsError, match=said):
        Settings(**settings)


def test_the_scheme_goes_by_the_settings() -> None:
    """Files or a context make it HTTPS."""
    assert Settings().scheme == "http"
    assert Settings(certfile="cert.pem").scheme == "https"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert Settings(ssl_context=context).scheme == "https"
