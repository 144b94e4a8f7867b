"""Who served me: the thread and the state of a request, and a check that requests are isolated."""

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
    """Show the thread of this request, and a check with twenty requests."""
    return render_template("whoami.html", facts=identity())


@app.get("/api/whoami")
def check_whoami() -> Response:
    """Write ?name= to session and g, wait ?hold= seconds, and return the values read back."""
    name = request.args.get("name", "")
    if not 1 <= len(name) <= LONGEST_NAME:
        abort(400, f"Pass a name with 1 to {LONGEST_NAME} characters: ?name=Ada")
    hold = number("hold", default=0, low=0, high=2)
    session["name"] = name
    g.name = name
    pause(hold)  # other requests run now, and write their own names
    saw = {"request": request.args["name"], "session": session["name"], "g": g.name}
    return jsonify(name=name, saw=saw, **identity())


def identity() -> dict[str, Any]:
    """Return the thread, process and ids of this request."""
    thread = threading.current_thread()
    return {
        "thread": {"name": thread.name, "ident": thread.ident},
        "process": os.getpid(),
        "request_id": g.request_id,
        "environ": f"{id(request.environ):#x}",
    }
