"""The functions for views."""

from typing import Any

import flask
import pytest
from werkzeug.exceptions import Forbidden, NotFound
from werkzeug.routing import BuildError

import dewar
from dewar import (
    Dewar,
    abort,
    after_this_request,
    flash,
    get_flashed_messages,
    json,
    jsonify,
    make_response,
    redirect,
    url_for,
)


@pytest.fixture
def app() -> Dewar:
    app = Dewar("helpers", static_folder=None)
    app.secret_key = "key"
    app.add_url_rule("/user/<int:id>", "user", lambda id: "")
    app.add_url_rule("/user/<int:id>", "change", lambda id: "", methods=["PUT"])
    return app


def test_a_url_is_built_from_its_endpoint(app: Dewar) -> None:
    """Variables fill the rule, the rest the query; the fragment is quoted."""
    with app.test_request_context("/"):
        assert url_for("user", id=7) == "/user/7"
        assert url_for("user", id=7, q="a b", _anchor="x y") == "/user/7?q=a+b#x%20y"
        assert url_for("user", id=7, _external=True) == "http://localhost/user/7"
        assert url_for("user", id=7, _external=True, _scheme="https") == "https://localhost/user/7"
        assert url_for(".user", id=7) == "/user/7"
        with pytest.raises(ValueError, match="'_external' must be True"):
            url_for("user", id=7, _scheme="https", _external=False)
        with pytest.raises(BuildError, match="nowhere"):
            url_for("nowhere")


def test_outside_of_a_request_a_url_needs_the_server_name(app: Dewar) -> None:
    """And is external then."""
    with app.app_context(), pytest.raises(RuntimeError, match=r"app\.config\['SERVER_NAME'\]"):
        url_for("user", id=7)
    app.config["SERVER_NAME"] = "example.test"
    app.config["APPLICATION_ROOT"] = "/app"
    with app.app_context():
        assert url_for("user", id=7) == "http://example.test/app/user/7"


def test_defaults_and_rescuers_take_part_in_building(app: Dewar) -> None:
    """`url_defaults` add values; `url_build_error_handlers` may know a URL."""
    app.url_defaults(lambda endpoint, values: values.setdefault("lang", "en"))
    app.url_build_error_handlers.append(
        lambda error, endpoint, values: "/rescued" if endpoint == "lost" else None
    )
    with app.test_request_context("/"):
        assert url_for("user", id=7) == "/user/7?lang=en"
        assert url_for("lost") == "/rescued"
        with pytest.raises(BuildError):
            url_for("really lost")


def test_flashed_messages_are_shown_once(app: Dewar) -> None:
    """On the next page, with their categories, and again within the same request."""

    @app.get("/flash")
    def flashing() -> str:
        flash("saved")
        flash("careful", "warning")
        return ""

    @app.get("/show")
    def show() -> Any:
        return {
            "all": get_flashed_messages(with_categories=True),
            "again": get_flashed_messages(),
            "warnings": get_flashed_messages(category_filter=["warning"]),
        }

    client = app.test_client()
    client.get("/flash")
    assert client.get("/show").json == {
        "all": [["message", "saved"], ["warning", "careful"]],
        "again": ["saved", "careful"],
        "warnings": ["careful"],
    }
    assert client.get("/show").json == {"all": [], "again": [], "warnings": []}


@pytest.mark.parametrize("wanted", ["warning", ["warning"], ("error", "warning"), "none", (), ""])
def test_flashed_messages_are_chosen_as_in_flask(wanted: Any) -> None:
    """One name without a list is taken as well; and a message may have more to it."""

    def seen(framework: Any, cls: Any) -> Any:
        app = cls(__name__)
        app.secret_key = "key"
        with app.test_request_context():
            framework.flash("a")
            framework.flash("b", "warning")
            framework.session["_flashes"] += [("warn", "c", "more")]
            chosen = framework.get_flashed_messages(True, wanted)
            return chosen, framework.get_flashed_messages(category_filter=wanted)

    assert seen(dewar, Dewar) == seen(flask, flask.Flask)


def test_redirect_and_abort_go_through_the_app(app: Dewar) -> None:
    """So that a subclass can change them; without an app they are Werkzeug's."""
    with app.app_context():
        response = redirect("/there", 303)
        assert (response.status_code, response.location) == (303, "/there")
        assert isinstance(response, app.response_class)
        with pytest.raises(NotFound):
            abort(404)
    assert redirect("/there").status_code == 302
    with pytest.raises(Forbidden):
        abort(403)


def test_make_response_is_what_a_view_would_return(app: Dewar) -> None:
    """From nothing, from one value, from several."""
    with app.test_request_context("/"):
        assert make_response().data == b""
        assert make_response("text").data == b"text"
        response = make_response({"a": 1}, 201, {"X-A": "b"})
        assert (response.status_code, response.headers["X-A"]) == (201, "b")
        assert response.json == {"a": 1}


def test_jsonify_and_the_json_module_write_by_the_apps_provider(app: Dewar) -> None:
    """With an app and without one."""
    with app.test_request_context("/"):
        assert jsonify(1, 2).json == [1, 2]
        assert jsonify(a=1).json == {"a": 1}
        assert json.dumps({"b": 1, "a": 2}) == '{"a": 2, "b": 1}'
        assert json.loads("[1]") == [1]
    assert json.dumps([1]) == "[1]"
    assert json.loads(b"[1]") == [1]


def test_after_this_request_is_for_one_request(app: Dewar) -> None:
    """And says so where there is none."""

    @app.get("/once")
    def once() -> str:
        @after_this_request
        def mark(response: Any) -> Any:
            response.headers["X-Mark"] = "1"
            return response

        return "x"

    client = app.test_client()
    assert client.get("/once").headers["X-Mark"] == "1"
    assert "X-Mark" not in client.get("/missing").headers
    with pytest.raises(RuntimeError, match="'after_this_request' was called here"):
        after_this_request(lambda response: response)
