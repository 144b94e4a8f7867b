"""The app object, its settings, and what happens around every request."""

import asyncio
import os
import secrets
import threading
import time
from typing import Any

from werkzeug.wrappers import Response

from dewar import Dewar, current_app, g
from examples.tour.pages import PAGES
from examples.tour.source import source_of

app = Dewar(__name__)
app.config.from_mapping(
    # Without SECRET_KEY in the environment a new key is made at every start: sessions signed with
    # the old one are then no longer accepted, so they end with the process.
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_hex(),
    SESSION_COOKIE_SAMESITE="Lax",
    # The longest note is far below this; anything longer is answered with 413.
    MAX_CONTENT_LENGTH=16 * 1024,
    # The tour calls itself back, which otherwise is refused: the address is an internal one.
    TASKS_CALLBACK_ALLOW=["127.0.0.1", "::1", "localhost"],
    # How views wait. The tests put a gate here, so that nothing sleeps.
    PAUSE=time.sleep,
    WAIT=asyncio.sleep,
)


def pause(seconds: float) -> None:
    """Block this thread, as a slow query or a distant service would."""
    current_app.config["PAUSE"](seconds)


async def wait(seconds: float) -> None:
    """Wait as `pause` does, and leave the thread to others meanwhile."""
    await current_app.config["WAIT"](seconds)


@app.before_request
def name_request() -> None:
    """Give the request an id of its own, kept in ``g`` until it is over."""
    g.request_id = secrets.token_hex(4)
    g.started = time.perf_counter()


@app.after_request
def describe_response(response: Response) -> Response:
    """Say which request this answers and how long it took; allow nothing from other hosts."""
    milliseconds = (time.perf_counter() - g.started) * 1000
    response.headers["X-Request-Id"] = g.request_id
    response.headers["Server-Timing"] = f"app;dur={milliseconds:.2f}"
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@app.context_processor
def page_furniture() -> dict[str, Any]:
    """Give every template the list of pages, this thread and a way to quote source."""
    return {"pages": PAGES, "thread": threading.current_thread(), "source_of": source_of}
