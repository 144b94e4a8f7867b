"""Error pages, and views that lead to them. Below /api/ every error is JSON."""

from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.wrappers import Response

from dewar import abort, current_app, g, render_template, request
from examples.tour.application import app


@app.get("/errors")
def errors() -> str:
    """Show the ways to go wrong."""
    return render_template("errors.html")


@app.get("/errors/raise")
def raise_error() -> str:
    """Raise an exception that nobody catches."""
    raise RuntimeError("This view fails on purpose.")


@app.get("/errors/teapot")
def teapot() -> str:
    """Stop with a status of the view's choosing."""
    abort(418)


@app.errorhandler(404)
def not_found(error: NotFound) -> Response:
    """Say that there is nothing at this address."""
    return answer(error, f"There is nothing at {request.path}", error.description)


@app.errorhandler(500)
def server_error(error: InternalServerError) -> Response:
    """Say that it is our fault, and nothing about how; the log has the traceback by now."""
    current_app.logger.error("The request that failed was %s.", g.request_id)
    hint = "It is not your fault. The log has the traceback, and the id of this request."
    return answer(error, "Something broke on our side", hint)


@app.errorhandler(HTTPException)
def other_error(error: HTTPException) -> Response:
    """Say what any other error is called, and what it means."""
    return answer(error, error.name, error.description)


def answer(error: HTTPException, heading: str, text: str | None) -> Response:
    """Turn an error into JSON for the API and into a page for everyone else.

    It starts from the error's own response, which knows its status and headers such as Allow.
    """
    response = Response(headers=error.get_headers(), status=error.code)
    if request.path.startswith("/api/"):
        response.data = current_app.json.dumps({"error": text})
        response.mimetype = "application/json"
    else:
        response.data = render_template("error.html", code=error.code, heading=heading, text=text)
    return response
