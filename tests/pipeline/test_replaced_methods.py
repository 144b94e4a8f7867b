"""A test may replace a method of a class after the app has answered its first request."""

from types import ModuleType
from typing import Any

import flask
import flask.sessions
import pytest

import dewar
from dewar.sessions.secure_cookie import SecureCookieSessionInterface

METHODS = [
    "__call__", "_find_error_handler", "app_context", "create_url_adapter", "dispatch_request",
    "do_teardown_appcontext",
    "do_teardown_request", "finalize_request", "full_dispatch_request", "handle_http_exception",
    "handle_user_exception", "make_response", "preprocess_request", "process_response",
    "request_context", "wsgi_app",
]  # fmt: skip


def make_app(lib: ModuleType) -> Any:
    app = (flask.Flask if lib is flask else dewar.Dewar)("replaced", static_folder=None)
    app.secret_key = "key"
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/abort", "abort", lambda: lib.abort(403))

    @app.get("/async")
    async def view() -> str:
        return "async"

    return app


def answers_of(app: Any) -> list[str]:
    client = app.test_client()
    return [client.get(path).text for path in ("/", "/abort", "/async")]


def noting(owner: Any, name: str, calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(owner, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, noted)


@pytest.mark.parametrize("on_class", [False, True], ids=["app", "class"])
@pytest.mark.parametrize("name", METHODS)
def test_a_replaced_method_of_an_app_is_called(
    name: str, on_class: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as on Flask, and no more when the test has put the method back."""
    if name == "__call__" and not on_class:
        return  # Python looks for it on the class
    found = []
    for lib in (flask, dewar):
        app, calls = make_app(lib), list[str]()
        before = answers_of(app)
        with monkeypatch.context() as patch:
            noting(type(app) if on_class else app, name, calls, patch)
            assert answers_of(app) == before
            count = len(calls)
            assert count
        assert answers_of(app) == before
        assert len(calls) == count
        found.append(count)
    # Flask makes an adapter for the app's own context, too.
    assert found[0] == found[1] or name == "create_url_adapter"


def test_an_app_takes_the_fast_lane_again_when_a_method_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the class, and on the app itself."""
    app = make_app(dewar)
    for owner in (dewar.Dewar, app):
        answers_of(app)
        assert app._dewar_composition.has_fast_lane
        with monkeypatch.context() as patch:
            noting(owner, "make_response", [], patch)
            answers_of(app)
            assert not app._dewar_composition.has_fast_lane
        answers_of(app)
        assert app._dewar_composition.has_fast_lane


def test_a_replaced_method_of_the_session_interface_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session is then opened for each request, as on Flask."""
    theirs = flask.sessions.SecureCookieSessionInterface
    found = []
    for lib, owner in ((flask, theirs), (dewar, SecureCookieSessionInterface)):
        app, calls = make_app(lib), list[str]()
        answers_of(app)
        with monkeypatch.context() as patch:
            noting(owner, "open_session", calls, patch)
            answers_of(app)
        found.append(calls)
    assert found[0] == found[1] == ["open_session"] * 3


def test_an_interface_may_have_only_what_is_used() -> None:
    """It need not inherit from Dewar's, and a class of requests may be any callable."""

    class Sessions:
        def open_session(self, app: Any, request: Any) -> dict[str, Any]:
            return {}

        def is_null_session(self, session: Any) -> bool:
            return True

    app = make_app(dewar)
    app.session_interface = Sessions()
    app.request_class = lambda environ: dewar.Request(environ)
    app.add_url_rule("/path", "path", lambda: dewar.request.path)
    assert [app.test_client().get("/path").text for _ in range(2)] == ["/path", "/path"]
