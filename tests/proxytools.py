"""Each proxy that the documentation configures, run as its block is written.

With our ports, folders and certificates, and the settings that its page gives.
"""

import json
import re
import shutil
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix

from certificates import Certificates
from deploymenttools import Process, free_port
from dewar import Dewar, request, url_for
from dewar.server import Server, Settings
from nginxtools import NGINX, NginxWith
from polling import eventually

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
DOCS = Path(__file__).parents[1] / "docs"
PROGRAMS = {"nginx": NGINX, "haproxy": HAPROXY}
#: Languages of blocks that would configure a proxy too; none is documented.
OTHERS = ("apache", "apacheconf", "caddy", "caddyfile", "traefik", "envoy")

CLIENT = "127.0.0.9"  # not an address that a page trusts


@dataclass(frozen=True)
class Documented:
    """A block, and what its page says about the server behind it."""

    page: str
    program: str
    number: int
    #: Words of the page that give the settings.
    quoted: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    is_unix: bool = False
    has_proxy_fix: bool = False

    def text(self) -> str:
        return blocks(DOCS / self.page, self.program)[self.number]


DOCUMENTED = [
    Documented(
        "how-to/deploy.md", "nginx", 0, ('trusted_hosts = "unix"',),
        {"trusted_hosts": "unix"}, is_unix=True,
    ),
    Documented(
        "how-to/serve-https.md", "nginx", 0,
        (
            'trusted_hosts="127.0.0.1, 10.0.0.0/8, unix"',
            'forwarded_headers="x-forwarded-for, x-forwarded-proto, x-forwarded-host"',
        ),
        {
            "trusted_hosts": "127.0.0.1, 10.0.0.0/8, unix",
            "forwarded_headers": "x-forwarded-for, x-forwarded-proto, x-forwarded-host",
        },
    ),
    Documented(
        "how-to/serve-an-app.md", "nginx", 0,
        ("ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)",), is_unix=True, has_proxy_fix=True,
    ),
    Documented(
        "how-to/serve-https.md", "haproxy", 0, ("proxy_protocol=True", 'trusted_hosts="10.0.0.1"'),
        {"proxy_protocol": True, "trusted_hosts": "127.0.0.1"},
    ),
]  # fmt: skip


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    pattern = rf"^```{language}(?: [^\n]*)?\n(.*?)^```$"
    text = page.read_text(encoding="utf-8")
    return re.findall(pattern, text, re.MULTILINE | re.DOTALL | re.IGNORECASE)


def make_app() -> Dewar:
    app = Dewar("seen")

    @app.get("/seen")
    def seen() -> dict[str, Any]:
        return {
            "decided": {
                "link": url_for("seen", _external=True),
                "static": url_for("static", filename="a.js"),
                "remote": request.remote_addr,
                "scheme": request.scheme,
                "host": request.host_url,
                "path": [request.script_root, request.path],
            },
            "fields": sorted(f"{name}: {value}" for name, value in request.headers.items()),
        }

    return app


class Site:
    """The app behind a proxy."""

    def __init__(self, one: Documented, certificates: Certificates, folder: Path) -> None:
        with ExitStack() as stack:
            sockets = stack.enter_context(tempfile.TemporaryDirectory())
            bind = f"unix:{sockets}/s" if one.is_unix else "127.0.0.1:0"
            app: Any = make_app()
            if one.has_proxy_fix:
                app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)
            # HAProxy passes TLS on; nginx ends it.
            pair = certificates.pair() if one.program == "haproxy" else {}
            server = Server(app, Settings(bind=bind, **one.settings, **pair))
            server.start()
            stack.callback(server.stop, 5)
            self.port = free_port()
            upstream = server.addresses[0].rpartition("//")[2]
            start = {"nginx": _nginx, "haproxy": _haproxy}[one.program]
            stack.callback(start(one.text(), upstream, self.port, certificates, folder).stop)
            self._context = certificates.client()
            self.close = stack.pop_all().close

    def ask(self, *fields: str) -> Any:
        """Send a request from the client's address; return the app's answer."""
        source = (CLIENT, 0)
        with (
            socket.create_connection(("127.0.0.1", self.port), 10, source_address=source) as raw,
            self._context.wrap_socket(raw, server_hostname="localhost") as sock,
        ):
            lines = ["GET /seen HTTP/1.1", "Host: localhost", *fields]
            if not any(line.startswith("Connection:") for line in lines):
                lines.append("Connection: close")
            sock.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), answer
        return json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])


def _nginx(
    text: str, upstream: str, port: int, certificates: Certificates, folder: Path
) -> Process:
    return NginxWith(_site_of(text, upstream, port, certificates), port, folder)


def _site_of(text: str, upstream: str, port: int, certificates: Certificates) -> str:
    """Return a block for nginx with our upstream, port and certificate."""
    pair = certificates.pair()
    files = f"ssl_certificate {pair['certfile']}; ssl_certificate_key {pair['keyfile']};"
    text = re.sub(r"ssl_certificate\S* .*?;", "", text)
    text = re.sub(r"unix:/run/\S+\.sock|127\.0\.0\.1:8000", upstream, text)
    if "server {" not in text:
        text = f"server {{ listen 443 ssl; {text} }}"
    assert text.count("listen 443 ssl;") == text.count(upstream) == 1
    return text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl; {files}")


def _haproxy(
    text: str, upstream: str, port: int, _certificates: Certificates, folder: Path
) -> Process:
    assert "10.0.0.2:443" in text
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        "defaults\n    timeout connect 5s\n    timeout client 10s\n    timeout server 10s\n"
        f"frontend all\n    mode tcp\n    bind 127.0.0.1:{port}\n    default_backend shop\n"
        f"{text.replace('10.0.0.2:443', upstream)}"
    )
    return Process([str(HAPROXY), "-db", "-f", str(configuration)], port, folder)


class UnixServer(Process):
    """A server that listens on a UNIX socket only."""

    def __init__(self, command: list[str], path: str, folder: Path) -> None:
        self._path = path
        super().__init__(command, 0, folder)

    def _wait_up(self) -> None:
        def is_up() -> bool:
            assert self._process.poll() is None, f"it has ended: {self.log()}"
            return self._path in self.log()

        eventually(is_up, lambda: f"the server listens:\n{self.log()}")


def asked_as(user: str, text: str, upstream: str, certificates: Certificates, folder: Path) -> bool:
    """Return whether nginx, as a user, reaches the server."""
    port = free_port()
    http = _site_of(text, upstream, port, certificates)
    nginx = NginxWith(http, port, folder, user)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as raw,
            certificates.client().wrap_socket(raw, server_hostname="localhost") as sock,
        ):
            sock.sendall(b"GET /seen HTTP/1.0\r\nHost: localhost\r\n\r\n")
            line = sock.recv(65536).split(b"\r\n")[0]
    finally:
        nginx.stop()
    assert line.split()[1] in (b"200", b"502"), line
    return line.split()[1] == b"200"
