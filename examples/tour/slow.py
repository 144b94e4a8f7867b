"""A view that blocks, and a page that requests it ten times at once."""

import threading
import time

from werkzeug.wrappers import Response

from dewar import g, jsonify, render_template
from examples.tour.application import app, pause
from examples.tour.arguments import number

LONGEST = 5


@app.get("/slow")
def slow() -> str:
    """Show the page that sends ten slow requests."""
    return render_template("slow.html")


@app.get("/api/slow")
def slow_answer() -> Response:
    """Block for ?seconds= (default 2), then return the name of the blocked thread."""
    seconds = number("seconds", default=2, low=0, high=LONGEST)
    pause(seconds)
    return jsonify(
        seconds=seconds,
        took=round(time.perf_counter() - g.started, 4),
        thread=threading.current_thread().name,
        request_id=g.request_id,
    )
