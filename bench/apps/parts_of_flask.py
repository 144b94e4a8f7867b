"""Views that each use one part of the request or the session, in Flask or in Dewar."""

from typing import Any


def views(module: Any, app: Any) -> Any:
    """Return the app with a view for each part, made with the names of its module."""
    request, session = module.request, module.session
    app.secret_key = "bench"

    def write() -> str:
        session["user"] = 42
        return "written"

    app.add_url_rule("/missing", "missing", lambda: str(request.args.get("q")))
    app.add_url_rule("/header", "header", lambda: request.headers.get("X-Tea"))
    app.add_url_rule("/cookie", "cookie", lambda: request.cookies.get("tea"))
    app.add_url_rule("/json", "json", lambda: request.get_json()["tea"], methods=["POST"])
    app.add_url_rule("/form", "form", lambda: request.form.get("tea"), methods=["POST"])
    app.add_url_rule("/session", "session", write)
    return app


def hooked(module: Any, app: Any) -> Any:
    """Return the app with three hooks before its view, two after it, and nested blueprints."""
    outer = module.Blueprint("outer", __name__, url_prefix="/outer")
    inner = module.Blueprint("inner", __name__, url_prefix="/inner")
    inner.add_url_rule("/page", "page", lambda: "Hello, World!")
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    for _ in range(3):
        app.before_request(lambda: None)
    for _ in range(2):
        app.after_request(lambda response: response)
    return app
