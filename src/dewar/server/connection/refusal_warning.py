"""What the server refuses for a reason of its own is a warning in its log."""

from dewar.server.access_log.line_formats import request_line
from dewar.server.errors import Refusal
from dewar.server.wire.request import Environ, WireRequest
from dewar.support.bounded_log import BoundedLog


def warn_of_refusal(
    bounded_log: BoundedLog, refusal: Refusal, environ: Environ, request: WireRequest | None
) -> None:
    """Log *refusal* if it has a cause; each cause is a kind of warning.

    Args:
        bounded_log: Where to.
        refusal: The refusal.
        environ: That of the request, or of the connection.
        request: The request, if one was read.
    """
    if not refusal.cause:
        return
    cause = refusal.cause.replace("%", "%%")
    bounded_log.warn(
        f"Refused with {refusal.status}: {cause} Request: %s, from %s.",
        "not read" if request is None else f'"{request_line(request)}"',
        environ.get("REMOTE_ADDR") or "a UNIX socket",
    )
