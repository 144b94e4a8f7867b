"""Certificates for tests, made with the ``openssl`` command."""

import ssl
import subprocess
from pathlib import Path

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


class Certificates:
    """An authority, what it has signed, and some files that are wrong.

    Attributes:
        folder: Where the files are: ``ca.pem``, and a certificate and a key for each name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._make("ca", "/CN=Authority", "keyUsage=critical,keyCertSign,cRLSign")
        self._make("server", "/CN=localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1", "ca")
        self._make("other", "/CN=other.test", "subjectAltName=DNS:other.test", "ca")
        self._make("client", "/C=DE/O=Ex, Inc./CN=J\u00fcrgen", "extendedKeyUsage=clientAuth", "ca")
        self._make("stranger", "/CN=Nobody", "extendedKeyUsage=clientAuth")
        server_key = (folder / "server.key").read_text()
        (folder / "both.pem").write_text((folder / "server.pem").read_text() + server_key)
        (folder / "empty.pem").write_text("")
        (folder / "text.pem").write_text(
            "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----"
        )
        self._openssl(
            "ec", "-in", "server.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key"
        )

    def __repr__(self) -> str:
        return f"<Certificates in {self.folder}>"

    def path(self, name: str) -> str:
        """Return the path of a file."""
        return str(self.folder / name)

    def pair(self, name: str = "server") -> dict[str, str]:
        """Return the settings for a certificate."""
        return {"certfile": self.path(f"{name}.pem"), "keyfile": self.path(f"{name}.key")}

    def client(self, name: str | None = None) -> ssl.SSLContext:
        """Return a client's context that trusts the authority and may show a certificate."""
        context = ssl.create_default_context(cafile=self.path("ca.pem"))
        if name is not None:
            context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return context

    def server(self, name: str = "server") -> ssl.SSLContext:
        """Return a server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        return context

    def _make(self, name: str, subject: str, extension: str, signer: str | None = None) -> None:
        signed = ["-CA", f"{signer}.pem", "-CAkey", f"{signer}.key"] if signer else []
        # Python 3.13 and newer check that an authority says so, and that nobody else does.
        constraint = f"basicConstraints=critical,CA:{'TRUE' if name == 'ca' else 'FALSE'}"
        self._openssl(
            "req", "-x509", *_KEY, "-nodes", "-utf8", "-days", "30", "-subj", subject,
            "-addext", constraint, "-addext", extension, *signed,
            "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)
