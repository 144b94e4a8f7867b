"""Until when an app can be set up: until the dispatch of its first request begins."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import flask
import flask.sessions
import pytest

import dewar
from dewar.sessions.secure_cookie import SecureCookieSessionInterface


def make_app(lib: ModuleType) -> Any:
    app = (flask.Flask if lib is flask else dewar.Dewar)("first", static_folder=None)
    app.config.update(SECRET_KEY="key", NOTED=[])
    app.add_url_rule("/", "index", lambda: "index")

    @app.get("/async")
    async def view() -> str:
        return "async"

    return app


def set_up(app: Any) -> None:
    """Add a hook whose effect can be seen, and note whether that is allowed."""

    def mark(response: Any) -> Any:
        response.headers["X-Late"] = "1"
        return response

    try:
        app.after_request(mark)
    except AssertionError:
        app.config["NOTED"].append("refused")
    else:
        app.config["NOTED"].append("allowed")


def in_middleware(app: Any) -> None:
    inner = app.wsgi_app

    def middleware(environ: Any, start_response: Any) -> Any:
        set_up(app)
        return inner(environ, start_response)

    app.wsgi_app = middleware


def in_replaced(name: str) -> Callable[[Any], None]:
    def arrange(app: Any) -> None:
        inner = getattr(app, name)

        def replaced(*args: Any, **kwargs: Any) -> Any:
            set_up(app)
            return inner(*args, **kwargs)

        setattr(app, name, replaced)

    return arrange


def in_a_session_interface(app: Any) -> None:
    bases = SecureCookieSessionInterface, flask.sessions.SecureCookieSessionInterface
    stock: Any = bases[isinstance(app, flask.Flask)]

    class Interface(stock):  # type: ignore[misc]
        def open_session(self, app: Any, request: Any) -> Any:
            set_up(app)
            return super().open_session(app, request)

    app.session_interface = Interface()


def in_a_hook(app: Any) -> None:
    app.before_request(lambda: set_up(app))


WAYS = {
    "middleware": in_middleware,
    "wsgi_app": in_replaced("wsgi_app"),
    "request_context": in_replaced("request_context"),
    "full_dispatch_request": in_replaced("full_dispatch_request"),
    "preprocess_request": in_replaced("preprocess_request"),
    "dispatch_request": in_replaced("dispatch_request"),
    "session": in_a_session_interface,
    "hook": in_a_hook,
}


@pytest.mark.parametrize("path", ["/", "/async", "/missing"])
@pytest.mark.parametrize("way", WAYS)
def test_set_up_in_the_first_request_is_allowed_where_flask_allows_it(way: str, path: str) -> None:
    """What is set up there applies to this request; later it is refused."""
    found = []
    for lib in (flask, dewar):
        app = make_app(lib)
        WAYS[way](app)
        client = app.test_client()
        answers = [client.get(path), client.get(path)]
        marked = [(answer.status_code, answer.headers.get("X-Late")) for answer in answers]
        found.append((marked, app.config["NOTED"]))
    assert found[0] == found[1]
    assert "refused" in found[0][1]
