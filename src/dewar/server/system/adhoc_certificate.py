"""A new self-signed certificate, for trying out HTTPS on a developer's machine."""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from dewar.server.errors import ServerError
from dewar.server.system.tls import make_context

_DAYS = 30


class AdhocUnavailableError(ServerError, RuntimeError):
    """Raised when a certificate is needed and cryptography is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "'adhoc' makes a certificate, and needs cryptography for that: pip install"
            " 'dewar-web[adhoc]'. Or pass the files: ssl_context=('cert.pem', 'key.pem'), or"
            " --cert cert.pem --key key.pem."
        )


def maybe_adhoc_context(certificate: object, bind: str) -> ssl.SSLContext | None:
    """Return a context with a new certificate if the one given is the word ``adhoc``, else None.

    Args:
        certificate: What is given as the certificate.
        bind: The addresses of the server. The certificate is for the host of the first.

    Raises:
        AdhocUnavailableError: Cryptography is not installed.
    """
    if not isinstance(certificate, str) or certificate.lower() != "adhoc":
        return None
    return make_adhoc_context(bind.partition(",")[0].rpartition(":")[0].strip("[]"))


def make_adhoc_context(host: str) -> ssl.SSLContext:
    """Return a context with a new self-signed certificate for *host*.

    It is for development: no client trusts it by itself, and the next start makes another.

    Raises:
        AdhocUnavailableError: Cryptography is not installed.
    """
    certificate, key = _make_pair(host)
    with tempfile.TemporaryDirectory() as folder:  # readable by this user only
        certfile, keyfile = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        certfile.write_bytes(certificate)
        keyfile.write_bytes(key)
        return make_context(str(certfile), str(keyfile))


def _make_pair(host: str) -> tuple[bytes, bytes]:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise AdhocUnavailableError from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64] or "localhost")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    for address in {host, "127.0.0.1", "::1"}:
        try:
            names.append(x509.IPAddress(ip_address(address)))
        except ValueError:
            if address not in ("", "localhost") and address.isascii():
                names.append(x509.DNSName(address))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # the client's clock may be behind
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem), key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
