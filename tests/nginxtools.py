"""nginx in a process of its own, with a configuration in a temporary folder."""

import getpass
import shutil
import subprocess
from pathlib import Path

from deploymenttools import Process, free_port

#: Where it is, on a system whose users have no sbin in their PATH too.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

_MAIN = """
daemon off;
worker_processes 1;
user {user};
pid nginx.pid;
error_log error.log notice;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}
}}
"""

_SITE = """
    upstream app {{
        server {upstream};
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-For $remote_addr;
        location / {{
            proxy_pass http://app;
        }}
        location /unbuffered/ {{
            proxy_pass http://app/;
            proxy_buffering off;
            proxy_request_buffering off;
        }}
        location /old/ {{
            proxy_pass http://app/;
            proxy_http_version 1.0;
            proxy_set_header Connection close;
            proxy_set_header Host $host;
            proxy_buffering off;
        }}
    }}
"""


class NginxWith(Process):
    """nginx with any configuration.

    Args:
        http: The ``http`` part of the configuration.
        port: Where it listens, by that.
        folder: For its files.
        user: Whom its workers run as; only root may choose.
    """

    def __init__(self, http: str, port: int, folder: Path, user: str | None = None) -> None:
        self._errors = folder / "error.log"
        super().__init__(_command(folder, http, user), port, folder)

    def errors(self) -> list[str]:
        """Return the lines of its log that tell of errors."""
        lines = self._errors.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if "[error]" in line or "[crit]" in line]


class Nginx(NginxWith):
    """nginx in front of one server.

    Args:
        upstream: Where that listens, as nginx writes it.
        folder: For its files.
    """

    def __init__(self, upstream: str, folder: Path) -> None:
        port = free_port()
        super().__init__(_SITE.format(upstream=upstream, port=port), port, folder)


def check(http: str, folder: Path) -> str:
    """Return what ``nginx -t`` has to say against a configuration's ``http`` part, or nothing."""
    done = subprocess.run(
        [*_command(folder, http), "-t"], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stderr if done.returncode else ""


def _command(folder: Path, http: str, user: str | None = None) -> list[str]:
    configuration = folder / "nginx.conf"
    text = _MAIN.format(user=user or getpass.getuser(), http=http)
    configuration.write_text(text, encoding="utf-8")
    errors = str(folder / "error.log")
    return [str(NGINX), "-p", str(folder), "-c", str(configuration), "-e", errors]
