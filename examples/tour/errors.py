"""Error pages, and views that trigger them. Below /api/, every error is JSON."""

from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.wrappers import Response

from dewar import abort, current_app, g, render_template, request
from examples.tour.application import app


@app.get("/errors")
def errors() -> str:
    """Show links that each cause an error."""
    return render_template("errors.html")


@app.get("/errors/raise")
def raise_error() -> str:
    """Raise an exception that no handler catches."""
    raise RuntimeError("This view fails on purpose.")


@app.get("/errors/teapot")
def teapot() -> str:
    """Abort with status 418."""
    abort(418)


@app.errorhandler(404)
def not_found(error: NotFound) -> Response:
    """Answer that the address does not exist."""
    return answer(error, f"There is nothing at {request.path}", error.description)


@app.errorhandler(500)
def server_error(error: InternalServerError) -> Response:
    """Answer with a 500 without details. The log has the traceback."""
    current_app.logger.error("The request that failed was %s.", g.request_id)
    hint = "This is an error in the app. The log has the traceback and the id of this request."
    return answer(error, "Something broke on our side", hint)


@app.errorhandler(HTTPException)
def other_error(error: HTTPException) -> Response:
    """Answer any other error with its name and its description."""
    return answer(error, error.name, error.description)


def answer(error: HTTPException, heading: str, text: str | None) -> Response:
    """Return the response for an error: JSON for the API, a page otherwise.

    The status and headers, such as Allow, come from the error's own response.
    """
    response = Response(headers=error.get_headers(), status=error.code)
    if request.path.startswith("/api/"):
        response.data = current_app.json.dumps({"error": text})
        response.mimetype = "application/json"
    else:
        response.data = render_template("error.html", code=error.code, heading=heading, text=text)
    return response
