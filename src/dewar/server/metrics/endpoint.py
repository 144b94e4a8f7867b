"""``GET /metrics``, as a WSGI application, and the settings of the server that serves it."""

import logging
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from dewar.server.metrics.exposition import CONTENT_TYPE, exposition
from dewar.server.metrics.statistics import ReadStatistics
from dewar.server.settings.settings import Settings
from dewar.server.system.inet_address import is_loopback
from dewar.support.metric_sources import ReadFamilies

_logger = logging.getLogger("dewar.server")

# One scraper and a few users. The timeouts are short, because there is one thread.
_CONNECTIONS = 32
_TIMEOUT = 5.0
_STOP_TIMEOUT = 1.0


def metrics_settings(address: str) -> Settings:
    """Return the settings of a server for the metrics that listens on *address*."""
    return Settings(
        bind=address,
        threads=1,
        max_connections=_CONNECTIONS,
        header_timeout=_TIMEOUT,
        body_timeout=_TIMEOUT,
        write_timeout=_TIMEOUT,
        graceful_timeout=_STOP_TIMEOUT,
        max_body=0,
    )


class MetricsApp:
    """An application with one page, ``/metrics``.

    A second server serves it, with its thread and address. So it answers while all threads of the
    main application are busy, and its address need not be public.

    Args:
        address: Where its server listens.
        statistics: Returns the statistics; called for each request.
        families: Returns the metrics of other parts, in the same way.
    """

    def __init__(self, address: str, statistics: ReadStatistics, families: ReadFamilies) -> None:
        self._address = address
        self._statistics = statistics
        self._families = families

    def __repr__(self) -> str:
        return f"<MetricsApp for {self._address}>"

    def begin_serving(self) -> None:
        """Warn if other machines can read the metrics; the server calls it when it listens."""
        if not is_loopback(self._address):
            _logger.warning(
                "metrics=%r can be read by other machines. Listen on 127.0.0.1, or use a firewall"
                " that lets only Prometheus connect.",
                self._address,
            )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer GET and HEAD of ``/metrics``."""
        fields = [("Cache-Control", "no-store")]
        if environ["PATH_INFO"] != "/metrics":
            return _respond(start_response, "404 Not Found", "The page is /metrics.\n", fields)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            fields.append(("Allow", "GET, HEAD"))
            return _respond(start_response, "405 Method Not Allowed", "GET it.\n", fields)
        page = exposition(self._statistics(), self._families())
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
