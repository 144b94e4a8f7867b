"""The names of contexts: Flask's can be set and take effect, all others are the program's."""

import importlib
from typing import Any

import pytest

from dewar import Dewar, g
from dewar.contexts.current import contexts
from dewar.sessions.secure_cookie import SecureCookieSession
from programnames import DEWAR, FLASK


@pytest.fixture(params=[FLASK, DEWAR])
def lib(request: pytest.FixtureRequest) -> Any:
    """The module of a framework."""
    return importlib.import_module(request.param)


@pytest.fixture
def app(lib: Any) -> Any:
    app = lib.Flask("named", static_folder=None)
    app.secret_key = "key"
    app.add_url_rule("/<name>", "page", lambda name: f"{name} {lib.request.args.get('q')}")
    return app


def test_a_request_that_is_set_is_the_current_one(lib: Any, app: Any) -> None:
    """Before the context is pushed, and afterwards; with its form, JSON and limits."""
    made = app.test_request_context("/made?q=1", method="POST", data={"a": "b"}).request
    context = app.test_request_context("/first")
    context.request = made
    with context:
        assert lib.request._get_current_object() is made
        assert (lib.request.form["a"], lib.request.args["q"]) == ("b", "1")
        context.request = own = app.request_class({**made.environ, "QUERY_STRING": "q=2"})
        assert lib.request.args["q"] == "2"
        assert own.max_content_length is None
        assert own.get_json(silent=True) is None


def test_the_functions_after_a_request_can_be_set(lib: Any, app: Any) -> None:
    """Under Flask's name for them, on which extensions rely."""

    def replace() -> None:
        lib.after_this_request(lambda response: 1 / 0)
        found = lib.globals.request_ctx._after_request_functions
        assert len(found) == 1
        lib.globals.request_ctx._after_request_functions = [
            lambda response: app.response_class("replaced")
        ]

    importlib.import_module(f"{lib.__name__}.globals")
    app.before_request(replace)
    assert app.test_client().get("/x").text == "replaced"


def test_a_session_that_is_set_is_the_current_one(lib: Any, app: Any) -> None:
    """And it is saved."""
    globals_ = importlib.import_module(f"{lib.__name__}.globals")
    sessions = importlib.import_module(f"{lib.__name__}.sessions")

    @app.before_request
    def set_session() -> None:
        globals_.request_ctx._session = sessions.SecureCookieSession({"user": "set"})
        lib.session.modified = True

    with app.test_client() as client:
        client.get("/x")
        assert lib.session["user"] == "set"
        with client.session_transaction() as kept:
            assert dict(kept) == {"user": "set"}


def test_methods_that_are_set_on_a_context_are_called(lib: Any, app: Any) -> None:
    """By a with block, and by the push that looks for the rule."""
    context, calls = app.test_request_context("/x"), []
    for name in ("push", "pop", "match_request"):
        original = getattr(context, name)
        setattr(
            context,
            name,
            lambda *args, name=name, call=original: calls.append(name) or call(*args),
        )
    with context:
        assert lib.request.view_args == {"name": "x"}
    assert calls == ["push", "match_request", "pop"]


def test_a_namespace_that_is_set_is_g(lib: Any, app: Any) -> None:
    """On an app context, before it is pushed and afterwards."""
    one, two = app.app_ctx_globals_class(), app.app_ctx_globals_class()
    context = app.app_context()
    context.g = one
    with context:
        assert lib.g._get_current_object() is one
        context.g = two
        assert lib.g._get_current_object() is two


class Slotted:
    """A value that takes no attributes, and fails if it is closed."""

    __slots__ = ()

    def close(self) -> None:
        raise AssertionError("closed by the framework")


@pytest.mark.parametrize("name", ["request", "session", "_session", "flashes", "copy", "other"])
def test_an_app_context_keeps_what_flask_has_on_request_contexts_only(
    lib: Any, app: Any, name: str
) -> None:
    """It is the program's own; the current request and session stay those of the request."""
    value = Slotted()
    with app.app_context() as context:
        setattr(context, name, value)
        assert getattr(context, name) is value
        with app.test_request_context("/x"):
            assert lib.request.path == "/x"
            assert lib.session.get("user") is None
            assert lib.get_flashed_messages() == []
        assert getattr(context, name) is value


def test_session_can_be_set_by_its_plain_name() -> None:
    """As on Flask before 3.1.3."""
    app = Dewar("named", static_folder=None)
    with app.test_request_context("/") as context:
        context.session = own = SecureCookieSession({"user": "set"})
        assert context.session is own
        assert own.accessed


def test_g_of_a_request_inside_an_app_context_is_that_of_the_app_context() -> None:
    """So setting it there is seen by `g`, and the request context reads what was set."""
    app = Dewar("named", static_folder=None)
    own = app.app_ctx_globals_class()
    with app.app_context() as outer, app.test_request_context("/") as context:
        context.g = own
        assert context.g is own
        assert outer.g is own
        assert g._get_current_object() is own  # type: ignore[attr-defined]  # a proxy
    assert contexts.state is None
