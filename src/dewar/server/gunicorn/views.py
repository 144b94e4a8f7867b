"""The objects that hooks get: what programs use of those of gunicorn."""

import logging
import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from dewar.server.wire.request import Environ

#: gunicorn's logger of errors, which programs also use by its name.
ERROR_LOGGER = "gunicorn.error"


def settings_view(given: Mapping[str, object], **used: object) -> SimpleNamespace:
    """Return what hooks see as ``cfg``: the settings of the file, and those that are *used*."""
    return SimpleNamespace(**{**given, **used})


class ServerView:
    """The server, as hooks see it.

    Attributes:
        cfg: The settings of the file, as attributes.
        log: The logger ``gunicorn.error``.
        pid: The process that takes signals.
        proc_name: The name of the app in process titles.
        address: The addresses that it listens on: ``(host, port)``, or the path of a UNIX socket.
        num_workers: How many workers there should be.
        WORKERS: The workers, by their processes.
    """

    def __init__(self, cfg: SimpleNamespace, proc_name: str) -> None:
        self.cfg = cfg
        self.log = logging.getLogger(ERROR_LOGGER)
        self.pid = os.getpid()
        self.proc_name = proc_name
        self.address: list[tuple[str, int] | str] = []
        self.num_workers = 0
        self.WORKERS: dict[int, WorkerView] = {}

    def __repr__(self) -> str:
        return f"<ServerView of process {self.pid} with {self.num_workers} workers>"


class WorkerView:
    """A worker, as hooks see it.

    Attributes:
        age: Its number since the start, from 1.
        pid: Its process; ``"[booting]"`` before the fork.
        ppid: The process of the server.
        cfg: The settings of the file, as attributes.
        log: The logger ``gunicorn.error``.
        wsgi: The application, once it is loaded.
        booted: Whether it is.
        alive: Whether the worker has not been told to end.
    """

    def __init__(self, age: int, cfg: SimpleNamespace) -> None:
        self.age = age
        self.pid: int | str = "[booting]"
        self.ppid = os.getpid()
        self.cfg = cfg
        self.log = logging.getLogger(ERROR_LOGGER)
        self.wsgi: Any = None
        self.booted = False
        self.alive = True

    def __repr__(self) -> str:
        return f"<Worker {self.pid}>"


class RequestView:
    """A request, as ``pre_request`` and ``post_request`` see it.

    SECURITY: the path and the query are as they were sent, with their escapes. Hooks write them to
    logs, where a decoded path could begin a new line.

    Args:
        environ: That of the request.

    Attributes:
        method: The method, such as ``"GET"``.
        path: The path, with the part that the application is mounted at.
        query: What stands behind the question mark.
        uri: Both, as in a URL.
    """

    __slots__ = ("_environ", "method", "path", "query", "uri")

    def __init__(self, environ: Environ) -> None:
        self._environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        path, _, self.query = self.uri.partition("?")
        self.path = path if path.startswith("/") else _path_of(path)

    def __repr__(self) -> str:
        return f"<RequestView {self.method} {self.path}>"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The header fields, with names in capitals."""
        kept = {"CONTENT_TYPE", "CONTENT_LENGTH"}
        return [
            (key.removeprefix("HTTP_").replace("_", "-"), value)
            for key, value in self._environ.items()
            if key.startswith("HTTP_") or (key in kept and value)
        ]

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        return str(self._environ["wsgi.url_scheme"])

    @property
    def remote_addr(self) -> tuple[str, int]:
        """The address of the client."""
        return self._environ.get("REMOTE_ADDR", ""), int(self._environ.get("REMOTE_PORT") or 0)


def _path_of(target: str) -> str:
    """Return the path of a target in absolute form (RFC 9112 §3.2.2); any other as it is."""
    _, is_absolute, rest = target.partition("://")
    _, slash, path = rest.partition("/")
    return slash + path if is_absolute else target


class ResponseView:
    """A response, as ``post_request`` sees it.

    Attributes:
        status: The status line, such as ``"200 OK"``; empty if the application sent none.
        headers: The header fields.
        sent: The bytes of the body so far.
    """

    __slots__ = ("headers", "sent", "status")

    def __init__(self) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.sent = 0

    def __repr__(self) -> str:
        return f"<ResponseView {self.status}>"

    @property
    def status_code(self) -> int:
        """The number of the status."""
        return int(self.status[:3] or 0)
