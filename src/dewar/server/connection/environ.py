"""The part of the environ that all requests of a connection share (PEP 3333)."""

import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from dewar.server.connection.error_stream import ErrorStream
from dewar.server.connection.file_wrapper import FileWrapper
from dewar.server.system.inet_address import unmapped
from dewar.server.wire.request import Environ

if TYPE_CHECKING:
    from dewar.server.proxies.proxy_protocol import ProxyHeader

P = ParamSpec("P")
T = TypeVar("T")

# Abbreviations of RFC 4514 §3 and of mod_ssl, by Python's names.
_SHORT_NAMES = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_SPECIAL = frozenset('"+,;<>\\')


def server_environ(multithread: bool, multiprocess: bool = False) -> Environ:
    """Return the part that all connections of a server share.

    No request can change a value in it, so that none finds there what another one has left. The
    exchange adds ``wsgi.input``, which belongs to one request.
    """
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "REQUEST_URI": "/",
        "RAW_URI": "/",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "Dewar",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.errors": ErrorStream(),
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": sealed(FileWrapper),
    }


def sealed(function: Callable[P, T]) -> Callable[P, T]:
    """Return a callable that calls *function* and takes no attributes, as functions do."""
    call: Any = function.__call__  # type: ignore[operator]  # mypy takes it for a call
    return call  # type: ignore[no-any-return]  # it has the same signature


def connection_environ(base: Environ, sock: socket.socket, peer: Any) -> Environ:
    """Return *base* with the addresses of both ends of a connection.

    Raises:
        OSError: The client has disconnected.
    """
    environ = base.copy()
    if sock.family == getattr(socket, "AF_UNIX", None):
        # A UNIX socket has no addresses, and PEP 3333 requires the server's.
        environ.update(SERVER_NAME="localhost", SERVER_PORT="80", REMOTE_ADDR="")
        return environ
    name = sock.getsockname()
    environ["SERVER_NAME"] = unmapped(name[0])
    environ["SERVER_PORT"] = str(name[1])
    environ["REMOTE_ADDR"] = unmapped(peer[0])
    environ["REMOTE_PORT"] = str(peer[1])
    return environ


def proxied_environ(header: "ProxyHeader") -> Environ:
    """Return what a PROXY header changes: both addresses, and the scheme if it has one."""
    environ: Environ = {}
    if header.source is not None and header.destination is not None:
        environ["REMOTE_ADDR"], remote_port = header.source
        environ["SERVER_NAME"], server_port = header.destination
        environ.update(REMOTE_PORT=str(remote_port), SERVER_PORT=str(server_port))
    if header.is_secure:
        environ.update({"wsgi.url_scheme": "https", "HTTPS": "on"})
    return environ


def tls_environ(tls: ssl.SSLObject) -> Environ:
    """Return what TLS adds, under the names of Apache's mod_ssl.

    ``SSL_CLIENT_VERIFY`` is set if clients are asked for a certificate. ``SSL_CLIENT_CERT`` (in
    PEM) and ``SSL_CLIENT_S_DN`` are set if the client has sent one, which is verified then.
    """
    cipher = tls.cipher()
    environ: Environ = {
        "wsgi.url_scheme": "https",
        "HTTPS": "on",
        "SSL_PROTOCOL": tls.version() or "",
        "SSL_CIPHER": cipher[0] if cipher else "",
    }
    if tls.context.verify_mode is ssl.CERT_NONE:
        return environ
    encoded = tls.getpeercert(binary_form=True)
    environ["SSL_CLIENT_VERIFY"] = "SUCCESS" if encoded else "NONE"
    if encoded:
        environ["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(encoded)
        subject: Any = (tls.getpeercert() or {}).get("subject", ())
        environ["SSL_CLIENT_S_DN"] = _distinguished_name(subject)
    return environ


def _distinguished_name(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """Return a certificate's subject in the format of RFC 4514, the most specific part first."""
    parts = [
        "+".join(f"{_SHORT_NAMES.get(name, name)}={_escaped(value)}" for name, value in part)
        for part in reversed(subject)
    ]
    return ",".join(parts).encode().decode("latin-1")  # WSGI's encoding of UTF-8


def _escaped(value: str) -> str:
    text = "".join(
        f"\\{character}" if character in _SPECIAL else character for character in value
    ).replace("\0", "\\00")
    if text.startswith((" ", "#")):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text.endswith(" ") and len(value) > 1 else text
