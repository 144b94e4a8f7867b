"""The apps whose requests are counted."""

from dewar import Blueprint, Dewar, Response, request, session

#: It has a view for each thing that a view may ask for.
app = Dewar("bench.counters.apps")
app.secret_key = "counted"


@app.get("/")
def hello() -> str:
    """Greet."""
    return "Hello, World!"


@app.get("/json")
def message() -> dict[str, str]:
    """Greet in JSON."""
    return {"message": "Hello, World!"}


@app.get("/user/<int:number>")
def user(number: int) -> str:
    """Use the rule, the method and the query."""
    return f"{number} {request.method} {request.args.get('q')}"


@app.get("/args-missing")
def args_missing() -> str:
    """Look for an argument that is not there."""
    return str(request.args.get("absent"))


@app.get("/header")
def header() -> str:
    """Use a field."""
    return str(request.headers.get("User-Agent"))


@app.get("/cookie")
def cookie() -> str:
    """Use a cookie."""
    return str(request.cookies["flavour"])


@app.post("/posted-json")
def posted_json() -> str:
    """Use a body in JSON."""
    return str(request.get_json()["number"])


@app.post("/posted-form")
def posted_form() -> str:
    """Use a form."""
    return str(request.form["name"])


@app.get("/session-read")
def session_read() -> str:
    """Use the session of the client."""
    return str(session["number"])


@app.get("/session-write")
def session_write() -> str:
    """Begin a session."""
    session["number"] = 42
    return "written"


@app.get("/coroutine")
async def coroutine() -> str:
    """Greet from a coroutine."""
    return "Hello, World!"


def make_hooked_app() -> Dewar:
    """Return an app with three functions before its views and two after them."""
    app = Dewar("bench.counters.apps")

    def before() -> None:
        return None

    def after(response: Response) -> Response:
        return response

    for _ in range(3):
        app.before_request(before)
    for _ in range(2):
        app.after_request(after)

    @app.get("/")
    def hello() -> str:
        return "Hello, World!"

    return app


def make_nested_app(depth: int) -> Dewar:
    """Return an app whose only view is in a blueprint inside ``depth - 1`` others."""
    app = Dewar("bench.counters.apps")
    inner = Blueprint("inner", __name__, url_prefix="/inner")

    @inner.get("/")
    def hello() -> str:
        return "Hello, World!"

    for level in range(depth - 1):
        outer = Blueprint(f"level{level}", __name__)
        outer.register_blueprint(inner)
        inner = outer
    app.register_blueprint(inner)
    return app


def make_routed_app(rules: int) -> Dewar:
    """Return an app with a number of rules, each with a variable."""
    app = Dewar("bench.counters.apps")
    for number in range(rules):
        app.add_url_rule(f"/part{number}/<int:id>", f"view{number}", _show)
    return app


def _show(id: int) -> str:
    return str(id)
