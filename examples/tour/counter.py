"""A counter for each browser, stored in the signed session cookie."""

from werkzeug.wrappers import Response

from dewar import current_app, flash, redirect, render_template, request, session, url_for
from examples.tour.application import app


@app.get("/counter")
def counter() -> str:
    """Show this browser's counter and the cookie that stores it."""
    cookie = request.cookies.get(current_app.config["SESSION_COOKIE_NAME"], "")
    return render_template(
        "counter.html", count=session.get("count", 0), cookie=cookie.rsplit(".", 2)
    )


@app.post("/counter")
def count_up() -> Response:
    """Add one to this browser's counter."""
    session["count"] = session.get("count", 0) + 1
    return redirect(url_for("counter"), 303)


@app.post("/counter/reset")
def reset_counter() -> Response:
    """Reset this browser's counter."""
    session.pop("count", None)
    flash("The counter is back at zero.")
    return redirect(url_for("counter"), 303)
