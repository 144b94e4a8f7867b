"""A live clock, sent as server-sent events, with the number of open streams."""

import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from dewar import Response, current_app, event_stream, g, render_template
from examples.tour.application import app, wait

# The ids of the requests whose streams are open in this process.
app.extensions["readers"] = set()


@app.get("/clock")
def clock() -> str:
    """Show the page that reads the clock's events."""
    return render_template("clock.html")


@app.get("/api/clock")
async def clock_events() -> Response:
    """Stream the time every second as server-sent events."""

    async def ticks() -> AsyncIterator[dict[str, Any]]:
        readers = current_app.extensions["readers"]
        readers.add(g.request_id)
        try:
            while True:
                yield {
                    "time": f"{datetime.now(UTC):%H:%M:%S}",
                    "readers": len(readers),
                    "thread": threading.current_thread().name,
                }
                await wait(1)
        finally:
            readers.discard(g.request_id)  # the client disconnected, or the server stops

    return event_stream(ticks(), retry=1)
