"""``GET /metrics`` on an address of its own."""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dewar.server.metrics.endpoint_interface import ReadStatistics
from dewar.server.metrics.exposition import CONTENT_TYPE, exposition
from dewar.server.settings.settings import Settings
from dewar.server.system.loopback import is_loopback

_logger = logging.getLogger("dewar.server")

# One scraper and a few curious people; each gets little time, for there is one thread.
_CONNECTIONS = 32
_TIMEOUT = 5.0
_LEAVE = 1.0


class MetricsServer(Protocol):
    """What serves the page: a `Server`."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs it listens on."""

    def start(self) -> None:
        """Begin."""

    def stop(self, timeout: float | None = None) -> bool:
        """End."""


class MetricsEndpoint:
    """Serves statistics to Prometheus, on a thread and an address apart from the application's.

    So it answers while all threads are inside the application, and what is public of the
    application is not public of its numbers.

    Args:
        address: Where to listen, as ``bind`` is written.
        statistics: Gives the numbers; called for each request.
        make_server: `Server`.
    """

    def __init__(
        self,
        address: str,
        statistics: ReadStatistics,
        make_server: Callable[[WSGIApplication, Settings], MetricsServer],
    ) -> None:
        self._address = address
        self._server = make_server(MetricsApp(statistics), _settings(address))

    def __repr__(self) -> str:
        return f"<MetricsEndpoint on {', '.join(self.addresses) or self._address}>"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The URLs it listens on. Empty before `start`."""
        return self._server.addresses

    def start(self) -> None:
        """Listen and answer, on a thread of its own.

        Raises:
            BindError: The address cannot be listened on.
        """
        self._server.start()
        if not is_loopback(self._address):
            _logger.warning(
                "metrics=%r can be read by other machines. Listen on 127.0.0.1, or let a firewall"
                " keep all but Prometheus away.",
                self._address,
            )

    def stop(self) -> None:
        """Listen and answer no more."""
        self._server.stop(_LEAVE)


class MetricsApp:
    """The WSGI application that has the one page."""

    def __init__(self, statistics: ReadStatistics) -> None:
        self._statistics = statistics

    def __repr__(self) -> str:
        return "<MetricsApp>"

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer GET and HEAD of ``/metrics``."""
        fields = [("Cache-Control", "no-store")]
        if environ["PATH_INFO"] != "/metrics":
            return _respond(start_response, "404 Not Found", "The page is /metrics.\n", fields)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            fields.append(("Allow", "GET, HEAD"))
            return _respond(start_response, "405 Method Not Allowed", "GET it.\n", fields)
        page = exposition(self._statistics())
        return _respond(start_response, "200 OK", page, fields, CONTENT_TYPE)


def _respond(
    start_response: StartResponse,
    status: str,
    text: str,
    fields: list[tuple[str, str]],
    content_type: str = "text/plain; charset=utf-8",
) -> list[bytes]:
    body = text.encode()
    length = ("Content-Length", str(len(body)))
    start_response(status, [("Content-Type", content_type), length, *fields])
    return [body]


def _settings(address: str) -> Settings:
    return Settings(
        bind=address,
        threads=1,
        max_connections=_CONNECTIONS,
        header_timeout=_TIMEOUT,
        body_timeout=_TIMEOUT,
        write_timeout=_TIMEOUT,
        max_body=0,
    )
