"""The server's side of TLS: an `ssl.SSLContext` from files, with errors that name the file."""

import os
import ssl
from pathlib import Path

from dewar.server.errors import SettingsError

# RFC 7301. HTTP/2 is not offered, because this server does not implement it.
_PROTOCOLS = ["http/1.1"]

_ENCRYPTED = (
    "The key in {file} is encrypted, and a server cannot ask for its passphrase. Load it into an"
    " SSLContext: context.load_cert_chain(certfile, keyfile, password=...), and pass"
    " ssl_context=context."
)


def make_context(
    certfile: str, keyfile: str | None = None, client_ca: str | None = None
) -> ssl.SSLContext:
    """Return a context that serves HTTP/1.1 over TLS 1.2 or newer, with Python's ciphers.

    Args:
        certfile: A PEM file with the certificate and its chain, and the key if *keyfile* is left
            out.
        keyfile: The PEM file of the key.
        client_ca: A PEM file of authorities; clients must then present a certificate from one.

    Raises:
        SettingsError: A file is missing or has other content, or the key is that of another
            certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_PROTOCOLS)
    # RFC 9325 §3.5: renegotiation has no use in HTTP, and costs the server more than the client.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _check_certificate(certfile)
    if keyfile is not None:
        _check_readable("keyfile", keyfile)
    _load_chain(context, certfile, keyfile)
    if client_ca is not None:
        _load_authorities(context, client_ca)
    return context


def maybe_context(
    context: ssl.SSLContext | None,
    certfile: str | None,
    keyfile: str | None,
    client_ca: str | None,
) -> ssl.SSLContext | None:
    """Return the context for these settings, or ``None`` for plain HTTP.

    Raises:
        SettingsError: They contradict each other, or see `make_context`.
    """
    check_choice(context, certfile, keyfile, client_ca)
    if context is not None or certfile is None:
        return context
    return make_context(certfile, keyfile, client_ca)


def check_choice(
    context: ssl.SSLContext | None,
    certfile: str | None,
    keyfile: str | None,
    client_ca: str | None,
) -> None:
    """Check the settings without reading a file.

    Raises:
        SettingsError: The settings contradict each other.
    """
    files = {"certfile": certfile, "keyfile": keyfile, "client_ca": client_ca}
    if context is not None:
        if not isinstance(context, ssl.SSLContext):
            raise SettingsError(
                f"ssl_context={context!r} is not an ssl.SSLContext. Make one with"
                " ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), or pass certfile=... and keyfile=...",
                "ssl_context",
            )
        for name in (name for name, value in files.items() if value is not None):
            raise SettingsError(
                f"{name} and ssl_context exclude each other. Load the files into the context, or"
                " leave the context out: Settings(certfile='site.pem', keyfile='site.key').",
                name,
            )
        if context.protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise SettingsError(
                "ssl_context is for clients. Make it with ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)"
                " or ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).",
                "ssl_context",
            )
        return
    for name in ("keyfile", "client_ca"):
        if files[name] is not None and certfile is None:
            raise SettingsError(
                f"{name}={files[name]!r} needs certfile, the server's certificate. Give both:"
                f" certfile='site.pem', {name}={files[name]!r}.",
                name,
            )


def _load_chain(context: ssl.SSLContext, certfile: str, keyfile: str | None) -> None:
    holder = repr(certfile if keyfile is None else keyfile)

    def refuse() -> str:
        # Without this, OpenSSL would ask on the terminal and wait.
        raise SettingsError(_ENCRYPTED.format(file=holder))

    try:
        context.load_cert_chain(certfile, keyfile, password=refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = (
                f"The key in {holder} does not belong to the certificate in {certfile!r}. The"
                " certificate of the server must be the first in its file."
            )
        elif keyfile is None:
            problem = (
                f"certfile={certfile!r} has no readable key. Append the key in PEM, or name its"
                " file: keyfile='key.pem'."
            )
        else:
            problem = f"keyfile={keyfile!r} has no key in PEM (-----BEGIN PRIVATE KEY-----)."
        raise SettingsError(f"{problem} ({_reason(error)})") from error


def _load_authorities(context: ssl.SSLContext, client_ca: str) -> None:
    _check_readable("client_ca", client_ca)
    try:
        context.load_verify_locations(client_ca)
    except ssl.SSLError as error:
        raise SettingsError(
            f"client_ca={client_ca!r} has no certificates in PEM (-----BEGIN CERTIFICATE-----)."
            f" ({_reason(error)})"
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED


def _check_certificate(certfile: str) -> None:
    """Check the certificate alone, because OpenSSL's errors do not name the file."""
    text = _check_readable("certfile", certfile)
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    start, stop = text.find(begin), text.find(end)
    try:
        block = text[start : stop + len(end)] if 0 <= start < stop else b""
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block.decode())
    except (ValueError, ssl.SSLError) as error:
        raise SettingsError(
            f"certfile={certfile!r} has no certificate in PEM (-----BEGIN CERTIFICATE-----)."
        ) from error


def _check_readable(setting: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"{setting}={os.fspath(path)!r} cannot be read: {reason}. Give the path of a PEM file"
            " that this user may read."
        ) from error


def _reason(error: ssl.SSLError) -> str:
    return error.reason or str(error)
