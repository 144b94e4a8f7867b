"""The access log, in the Combined format of Apache and nginx."""

import logging
import time

from dewar.server.wire.request import Request

_logger = logging.getLogger("dewar.server.access")


def log_access(request: Request, status: str, sent: int) -> None:
    """Log one response at INFO on the logger ``dewar.server.access``.

    What the client chose is escaped, so that it can not add lines or end a quoted part.
    """
    environ = request.environ
    _logger.info(
        '%s - %s [%s] "%s %s %s" %s %s "%s" "%s"',
        environ.get("REMOTE_ADDR") or "-",
        _escape(environ.get("REMOTE_USER") or "-"),
        time.strftime("%d/%b/%Y:%H:%M:%S %z"),
        request.method,
        _escape(request.target),
        "HTTP/1.1" if request.http11 else "HTTP/1.0",
        status[:3],
        sent or "-",
        _escape(environ.get("HTTP_REFERER") or "-"),
        _escape(environ.get("HTTP_USER_AGENT") or "-"),
    )


def _escape(text: str) -> str:
    escaped = text.encode("unicode_escape").decode("ascii")
    return escaped.replace('"', '\\"')
