"""A streamed response."""

import threading
from collections.abc import Iterator

from werkzeug.wrappers import Response as BaseResponse

from dewar import Response, g, render_template, request, stream_with_context
from examples.tour.application import app, pause
from examples.tour.arguments import number


@app.get("/stream")
def stream() -> str:
    """Show the page that reads the stream."""
    return render_template("stream.html")


@app.get("/stream.txt")
def stream_text() -> BaseResponse:
    """Stream ?lines= lines (default 8), ?every= seconds apart (default 0.4)."""
    lines = int(number("lines", default=8, low=1, high=50))
    every = number("every", default=0.4, low=0, high=2)
    return Response(stream_with_context(written(lines, every)), mimetype="text/plain")


def written(lines: int, every: float) -> Iterator[str]:
    """Yield the lines; `request` and `g` still work after the view has returned."""
    for line in range(1, lines + 1):
        if line > 1:
            pause(every)
        thread = threading.current_thread().name
        yield f"line {line:>2} of {lines}   {request.path}   request {g.request_id}   {thread}\n"
