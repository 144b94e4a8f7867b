"""The names that a program has for its own things, on the app and on the request."""

from typing import Any

import flask
import pytest

import dewar
from dewar import Dewar, Request, request
from suspendedtools import make_environ

#: What an app has beyond Flask's, as documented.
DOCUMENTED = {
    "after_response", "begin_on_loop", "begin_serving", "body_limit_for", "end_serving", "mount",
    "mounts", "on_start", "on_stop", "websocket",
}  # fmt: skip
FORMER = ["composition", "after_responses"]


def public(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_an_app_has_no_other_names_than_flask_s_and_the_documented_ones() -> None:
    """Every other name is the program's."""
    ours, theirs = Dewar("own"), flask.Flask("own")
    assert public(set(dir(ours)) - set(dir(theirs))) == DOCUMENTED


def test_a_request_has_no_other_names_than_flask_s() -> None:
    """Every other name is the program's, of a request and of its class."""
    with Dewar("own").test_request_context(), flask.Flask("own").test_request_context():
        ours, theirs = dir(request._get_current_object()), dir(flask.request._get_current_object())
    assert public(set(ours) - set(theirs)) == set()


def answers(app: Any) -> None:
    """Check that an app answers, by a view and by the loop, and ends its work."""
    app.add_url_rule("/", "index", lambda: "index")

    @app.get("/async")
    async def view() -> str:
        return "async"

    assert app.test_client().get("/").text == "index"
    assert app.test_client().get("/async").text == "async"
    app(make_environ("GET", "/async"), lambda *_: None)


@pytest.mark.parametrize("name", [*sorted(DOCUMENTED), *FORMER])
def test_what_a_program_keeps_on_its_app_stays_there(name: str) -> None:
    """It does no harm to a request: set on the app, and in a subclass."""
    app = Dewar("own")
    setattr(app, name, {"a": 1})
    answers(app)
    assert getattr(app, name) == {"a": 1}
    subclass = type("Own", (Dewar,), {name: "oak and brass"})
    answers(subclass("own"))
    assert getattr(subclass("own"), name) == "oak and brass"


@pytest.mark.parametrize("name", ["app", "decode_args", "tenant"])
@pytest.mark.parametrize("debug", [False, True])
def test_what_a_program_keeps_on_the_request_does_no_harm(name: str, debug: bool) -> None:
    """The query, forms, JSON, the limits and debug mode's help work as before."""
    app = Dewar("own")
    app.debug = debug
    app.config["MAX_CONTENT_LENGTH"] = 20

    @app.before_request
    def keep() -> None:
        setattr(request, name, "mine")

    @app.post("/form")
    def form() -> str:
        return f"{request.form['a']} {request.args['q']} {getattr(request, name)}"

    @app.post("/json")
    def json() -> Any:
        return request.get_json()

    client = app.test_client()
    assert client.post("/form?q=a+b", data={"a": "1"}).text == "1 a b mine"
    assert client.post("/json", json=[1]).json == [1]
    assert client.post("/json", data="{", content_type="application/json").status_code == 400
    assert client.post("/form?q=a", data={"a": "1" * 20}).status_code == 413


def test_a_request_class_may_have_a_property_of_any_name() -> None:
    """Also one that cannot be set."""

    class Own(Request):
        app = property(lambda self: self.headers["X-App"])
        decode_args = property(lambda self: "mine")

    app = dewar.Dewar("own")
    app.request_class = Own
    app.add_url_rule("/", "which", lambda: f"{request.app} {request.args['q']}")  # type: ignore[attr-defined]  # of this class
    assert app.test_client().get("/?q=a%20b", headers={"X-App": "shop"}).text == "shop a b"


def test_a_method_for_app_contexts_on_the_app_itself_is_called() -> None:
    """As one in a subclass is: once for each request."""
    app = dewar.Dewar("own", static_folder=None)
    app.add_url_rule("/", "index", lambda: "index")
    made: list[Any] = []
    original = app.app_context
    app.app_context = lambda: made.append(original()) or made[-1]  # type: ignore[method-assign, func-returns-value]  # short
    assert app.test_client().get("/").text == "index"
    assert len(made) == 1
