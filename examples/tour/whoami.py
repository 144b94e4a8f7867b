"""Who served me: the thread and the state of one request, and a check that it shares neither."""

import os
import threading
from typing import Any

from werkzeug.wrappers import Response

from dewar import abort, g, jsonify, render_template, request, session
from examples.tour.application import app, pause
from examples.tour.arguments import number

LONGEST_NAME = 40


@app.get("/whoami")
def whoami() -> str:
    """Show who served this request, and check twenty others."""
    return render_template("whoami.html", facts=identity())


@app.get("/api/whoami")
def check_whoami() -> Response:
    """Write ?name= into session and g, wait ?hold= seconds, and say what is there then."""
    name = request.args.get("name", "")
    if not 1 <= len(name) <= LONGEST_NAME:
        abort(400, f"Say who you are in 1 to {LONGEST_NAME} characters: ?name=Ada")
    hold = number("hold", default=0, low=0, high=2)
    session["name"] = name
    g.name = name
    pause(hold)  # the others run now, and write their own names
    saw = {"request": request.args["name"], "session": session["name"], "g": g.name}
    return jsonify(name=name, saw=saw, **identity())


def identity() -> dict[str, Any]:
    """Say which thread runs this request and by what it can be told from the others."""
    thread = threading.current_thread()
    return {
        "thread": {"name": thread.name, "ident": thread.ident},
        "process": os.getpid(),
        "request_id": g.request_id,
        "environ": f"{id(request.environ):#x}",
    }
