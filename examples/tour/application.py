"""The app object, its settings and its request hooks."""

import asyncio
import secrets
import threading
import time
from typing import Any

from werkzeug.wrappers import Response

from dewar import Dewar, current_app, g
from examples.secret_key import secret_key
from examples.tour.pages import PAGES
from examples.tour.source import source_of

app = Dewar(__name__)
app.config.from_mapping(
    # The same for all processes, and after a restart: sessions stay valid.
    SECRET_KEY=secret_key(app.instance_path),
    SESSION_COOKIE_SAMESITE="Lax",
    # The longest note is far below this limit. A longer body is answered with 413.
    MAX_CONTENT_LENGTH=16 * 1024,
    # The tour sends callbacks to itself. By default, an internal address is refused.
    TASKS_CALLBACK_ALLOW=["127.0.0.1", "::1", "localhost"],
    # How views wait. The tests replace these, so that nothing sleeps.
    PAUSE=time.sleep,
    WAIT=asyncio.sleep,
)


def pause(seconds: float) -> None:
    """Block this thread, like a slow query or a remote service."""
    current_app.config["PAUSE"](seconds)


async def wait(seconds: float) -> None:
    """Wait like `pause`, but without blocking the thread."""
    await current_app.config["WAIT"](seconds)


@app.before_request
def name_request() -> None:
    """Store a new request id in ``g``."""
    g.request_id = secrets.token_hex(4)
    g.started = time.perf_counter()


@app.after_request
def describe_response(response: Response) -> Response:
    """Add the request id, the duration and a content security policy to the response."""
    milliseconds = (time.perf_counter() - g.started) * 1000
    response.headers["X-Request-Id"] = g.request_id
    response.headers["Server-Timing"] = f"app;dur={milliseconds:.2f}"
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@app.context_processor
def template_names() -> dict[str, Any]:
    """Return the names that every template gets: the pages, the thread and `source_of`."""
    return {"pages": PAGES, "thread": threading.current_thread(), "source_of": source_of}
