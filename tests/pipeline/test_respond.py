"""The life of a request: hooks, answers, errors, and what is left at the end."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.exceptions import HTTPException, NotFound

from dewar import (
    Dewar,
    Response,
    abort,
    after_this_request,
    current_app,
    g,
    got_request_exception,
    request,
    request_finished,
    request_started,
    request_tearing_down,
    session,
)
from dewar.contexts.current import contexts
from dewar.errors import ContextOrderError
from dewar.messages import sending


@pytest.fixture
def app() -> Dewar:
    app = Dewar("pipeline", static_folder=None)
    app.secret_key = "key"
    return app


def test_hooks_run_in_flasks_order(app: Dewar) -> None:
    """In before, first registered first; out after, last registered first; then the teardown."""
    log: list[str] = []

    def note(name: str, result: Any = None) -> Callable[..., Any]:
        def hook(*args: Any) -> Any:
            log.append(name)
            return args[0] if result == "response" else None

        return hook

    app.url_value_preprocessor(lambda endpoint, values: log.append(f"values {endpoint} {values}"))
    app.before_request(note("before 1"))
    app.before_request(note("before 2"))
    app.after_request(note("after 1", "response"))
    app.after_request(note("after 2", "response"))
    app.teardown_request(note("teardown 1"))
    app.teardown_request(note("teardown 2"))
    app.teardown_appcontext(note("app"))

    @app.get("/<int:n>")
    def view(n: int) -> str:
        after_this_request(note("this", "response"))
        log.append("view")
        return "x"

    assert app.test_client().get("/1").text == "x"
    assert log == [
        "values view {'n': 1}", "before 1", "before 2", "view", "this", "after 2", "after 1",
        "teardown 2", "teardown 1", "app",
    ]  # fmt: skip


def test_a_hook_that_answers_ends_the_way_in(app: Dewar) -> None:
    """The view is not called; what comes after the view is."""
    app.before_request(lambda: ("hooked", 202))
    app.after_request(lambda response: setattr(response, "data", b"changed") or response)

    @app.get("/")
    def view() -> str:
        raise AssertionError("not reached")

    answer = app.test_client().get("/")
    assert (answer.status_code, answer.text) == (202, "changed")


def test_hooks_also_run_where_no_route_matches(app: Dewar) -> None:
    """A 404 goes through the app's hooks like any other answer."""
    app.before_request(lambda: g.setdefault("seen", request.path) and None)
    app.after_request(lambda response: (response.headers.set("X-Seen", g.seen), response)[1])
    answer = app.test_client().get("/missing")
    assert (answer.status_code, answer.headers["X-Seen"]) == (404, "/missing")


def test_an_error_in_a_view_becomes_a_500_with_a_logged_traceback(
    app: Dewar, caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns nothing of the error, the developer everything."""

    @app.get("/")
    def view() -> str:
        raise ZeroDivisionError("secret detail")

    with caplog.at_level(logging.ERROR):
        answer = app.test_client().get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    record = caplog.records[-1]
    assert record.getMessage() == "Exception on / [GET]"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


def test_errors_propagate_in_tests_and_debug_mode_unless_told_otherwise(app: Dewar) -> None:
    """PROPAGATE_EXCEPTIONS decides; None means testing or debug."""

    @app.get("/")
    def view() -> str:
        raise ZeroDivisionError

    app.testing = True
    with pytest.raises(ZeroDivisionError):
        app.test_client().get("/")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.logger.disabled = True
    assert app.test_client().get("/").status_code == 500
    app.logger.disabled = False


def test_error_handlers_are_found_by_status_and_by_class(app: Dewar) -> None:
    """A status goes before a class, a class before its parents, a 500 gets the original error."""

    class Odd(ValueError):
        pass

    app.register_error_handler(ValueError, lambda error: (f"value {error}", 400))
    app.register_error_handler(HTTPException, lambda error: (f"http {error.code}", error.code))
    app.register_error_handler(404, lambda error: ("gone fishing", 404))
    app.register_error_handler(500, lambda error: (type(error.original_exception).__name__, 500))
    app.add_url_rule("/odd", "odd", lambda: (_ for _ in ()).throw(Odd("x")))
    app.add_url_rule("/abort/<int:code>", "abort", lambda code: abort(code))
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    app.logger.disabled = True
    client = app.test_client()
    answers = {
        path: (client.get(path).status_code, client.get(path).text)
        for path in ("/odd", "/abort/404", "/abort/403", "/nowhere", "/broken")
    }
    app.logger.disabled = False
    assert answers == {
        "/odd": (400, "value x"),
        "/abort/404": (404, "gone fishing"),
        "/abort/403": (403, "http 403"),
        "/nowhere": (404, "gone fishing"),
        "/broken": (500, "ZeroDivisionError"),
    }


def test_an_error_in_a_handler_is_a_500(app: Dewar) -> None:
    """A handler is code like any other."""
    app.register_error_handler(404, lambda error: 1 / 0)
    app.logger.disabled = True
    assert app.test_client().get("/missing").status_code == 500
    app.logger.disabled = False


def test_a_view_that_returns_nothing_is_told_what_to_return(app: Dewar) -> None:
    """The error names the endpoint and the repair."""
    app.testing = True
    app.add_url_rule("/", "empty", lambda: None)
    app.add_url_rule("/four", "four", lambda: (1, 2, 3, 4))
    app.add_url_rule("/number", "number", lambda: 7)
    client = app.test_client()
    with pytest.raises(TypeError, match=r"'empty'.*return '', 204"):
        client.get("/")
    with pytest.raises(TypeError, match="response tuple"):
        client.get("/four")
    with pytest.raises(TypeError, match="it was a int"):
        client.get("/number")


def test_an_after_request_function_that_forgets_the_response_is_named(app: Dewar) -> None:
    """Returning None there is the commonest mistake."""
    app.testing = True

    @app.after_request
    def forgetful(response: Response) -> None:
        response.headers["X"] = "1"

    app.add_url_rule("/", "home", lambda: "x")
    with pytest.raises(TypeError, match=r"forgetful.*return response"):
        app.test_client().get("/")


def test_a_view_that_leaves_a_context_pushed_is_told_and_cleaned_up(app: Dewar) -> None:
    """The next request on this thread finds nothing of it."""
    other = Dewar("other", static_folder=None)
    app.add_url_rule("/", "leaky", lambda: other.app_context().push() or "x")
    with pytest.raises(ContextOrderError, match="<Context of other> and did not pop it"):
        app.test_client().get("/")
    assert contexts.state is None


def test_overridden_stages_are_called(app: Dewar) -> None:
    """A subclass may bring its own stages, and so may an instance, even after a request."""
    calls: list[str] = []

    class Custom(Dewar):
        def preprocess_request(self) -> Any:
            calls.append("preprocess")
            return super().preprocess_request()

        def make_response(self, rv: Any) -> Response:
            calls.append("make")
            return super().make_response(rv)

    custom = Custom("custom", static_folder=None)
    custom.add_url_rule("/", "home", lambda: "x")
    assert custom.test_client().get("/").text == "x"
    assert calls == ["preprocess", "make"]

    app.add_url_rule("/", "home", lambda: "x")
    client = app.test_client()
    assert client.get("/").text == "x"
    app.process_response = lambda response: Response("replaced")  # type: ignore[method-assign]
    assert client.get("/").text == "replaced"


def test_registering_by_the_tables_takes_effect_at_once(app: Dewar) -> None:
    """Extensions change the public tables after the first request."""
    app.add_url_rule("/", "home", lambda: "x")
    client = app.test_client()
    assert client.get("/").text == "x"
    app.view_functions["home"] = lambda: "y"
    assert client.get("/").text == "y"
    app.before_request_funcs.setdefault(None, []).append(lambda: "hook")
    assert client.get("/").text == "hook"
    app.before_request_funcs[None].clear()
    assert client.get("/").text == "y"
    app.url_map.add(app.url_rule_class("/late", endpoint="home"))
    assert client.get("/late").text == "y"
    app.view_functions = {"home": lambda: "replaced"}  # type: ignore[assignment]  # any dict
    assert client.get("/").text == "replaced"
    ends: list[Any] = []
    app.teardown_request_funcs[None] = [ends.append]
    app.teardown_appcontext_funcs.append(ends.append)
    client.get("/")
    assert ends == [None, None]


def test_a_registration_that_comes_too_late_is_refused(app: Dewar) -> None:
    """Some requests would have gone without it."""
    app.add_url_rule("/", "home", lambda: "x")
    app.test_client().get("/")
    with pytest.raises(AssertionError, match="'before_request' can no longer be called"):
        app.before_request(lambda: None)
    with pytest.raises(AssertionError, match="'get'"):
        app.get("/late")


def test_head_and_options_are_answered_for_a_get_route(app: Dewar) -> None:
    """HEAD has the headers alone; OPTIONS names the methods."""
    app.add_url_rule("/", "home", lambda: "text")
    client = app.test_client()
    head = client.head("/")
    assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", "4")
    assert client.options("/").allow == {"GET", "HEAD", "OPTIONS"}
    assert client.post("/").status_code == 405


def test_a_wsgi_callable_and_an_iterator_can_be_returned(app: Dewar) -> None:
    """Everything Flask lets a view return."""

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("203 Other", [("X-Wsgi", "1")])
        return [b"from wsgi"]

    app.add_url_rule("/wsgi", "wsgi", lambda: wsgi)
    app.add_url_rule("/iterator", "iterator", lambda: iter(["a", b"b"]))
    app.add_url_rule("/error", "error", lambda: NotFound("described"))
    client = app.test_client()
    answer = client.get("/wsgi")
    assert (answer.status_code, answer.text, answer.headers["X-Wsgi"]) == (203, "from wsgi", "1")
    assert client.get("/iterator").text == "ab"
    assert client.get("/error").status_code == 404


def test_signals_are_sent_on_both_lanes(app: Dewar) -> None:
    """Started, finished, tearing down, and got exception."""
    seen: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda sender, **kwargs: seen.append(name)

    app.add_url_rule("/", "home", lambda: "x")
    app.add_url_rule("/broken", "broken", lambda: 1 / 0)
    app.logger.disabled = True
    receivers = {
        request_started: note("started"),
        request_finished: note("finished"),
        request_tearing_down: note("tearing down"),
        got_request_exception: note("exception"),
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, app)
    app.test_client().get("/")
    assert seen == ["started", "finished", "tearing down"]
    seen.clear()
    app.test_client().get("/broken")
    assert seen == ["started", "exception", "finished", "tearing down"]
    for signal, receiver in receivers.items():
        signal.disconnect(receiver, app)
    app.logger.disabled = False


def test_the_session_is_kept_in_a_signed_cookie(app: Dewar) -> None:
    """Each client has its own, and nobody can change it."""

    @app.get("/")
    def count() -> str:
        session["n"] = session.get("n", 0) + 1
        return str(session["n"])

    first, second = app.test_client(), app.test_client()
    assert [first.get("/").text, first.get("/").text, second.get("/").text] == ["1", "2", "1"]
    first.set_cookie("session", "forged")
    assert first.get("/").text == "1"


def test_a_permanent_session_nobody_reads_has_its_cookie_refreshed(app: Dewar) -> None:
    """The fast lane steps aside where a session cookie comes in."""

    @app.get("/login")
    def login() -> str:
        session.permanent = True
        session["user"] = "ada"
        return "in"

    app.add_url_rule("/plain", "plain", lambda: "x")
    client = app.test_client()
    assert "Set-Cookie" in client.get("/login").headers
    assert "Set-Cookie" in client.get("/plain").headers
    assert "Set-Cookie" not in app.test_client().get("/plain").headers


def test_async_views_and_hooks_see_the_request(app: Dewar) -> None:
    """Coroutine functions are run to their end, also inside a running loop."""
    import asyncio

    @app.before_request
    async def before() -> None:
        await asyncio.sleep(0)
        g.before = request.path

    @app.get("/async")
    async def view() -> str:
        await asyncio.sleep(0)
        return f"{g.before} {current_app.name}"

    assert app.test_client().get("/async").text == "/async pipeline"

    async def main() -> str:
        return app.test_client().get("/async").text

    assert asyncio.run(main()) == "/async pipeline"


@pytest.mark.parametrize(
    ("kept", "refreshes", "sends"),
    [
        ({"n": 1}, True, False),
        ({"n": 1, "_permanent": True}, True, True),
        ({"n": 1, "_permanent": True}, False, False),
        ({}, True, False),
    ],
)
def test_a_session_that_is_not_used_is_sent_if_it_is_renewed(
    app: Dewar,
    monkeypatch: pytest.MonkeyPatch,
    kept: dict[str, Any],
    refreshes: bool,
    sends: bool,
) -> None:
    """Otherwise no response is made for it."""
    made: list[object] = []
    make = sending.make
    monkeypatch.setattr(sending, "make", lambda *args: made.append(args) or make(*args))
    app.config["SESSION_REFRESH_EACH_REQUEST"] = refreshes
    app.add_url_rule("/", "index", lambda: "seen")
    signing = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # the shipped one
    client = app.test_client()
    client.set_cookie("session", signing.dumps(kept))
    answer = client.get("/")
    assert answer.text == "seen"
    assert ("Set-Cookie" in answer.headers) is sends
    assert ("Vary" in answer.headers) is sends
    assert bool(made) is sends


def test_a_session_that_cannot_be_opened_is_an_error(app: Dewar) -> None:
    """Also if the view does not use it: it is signed, and no JSON."""
    app.logger.disabled = True
    app.add_url_rule("/", "index", lambda: "seen")
    signing = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # the shipped one
    client = app.test_client()
    client.set_cookie("session", signing.make_signer().sign(b"bm8").decode())
    assert client.get("/").status_code == 500
