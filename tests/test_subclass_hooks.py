"""Every method of the app that a subclass may override is called where Flask calls it."""

import functools
import inspect
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import flask.ctx
import flask.json.provider
import flask.sessions
import pytest

import dewar
from dewar.contexts.namespace import AppGlobals
from dewar.json.provider import DefaultJSONProvider
from dewar.sessions.secure_cookie import SecureCookieSessionInterface

FLASK = types.SimpleNamespace(
    lib=flask,
    App=flask.Flask,
    Globals=flask.ctx._AppCtxGlobals,
    Provider=flask.json.provider.DefaultJSONProvider,
    Interface=flask.sessions.SecureCookieSessionInterface,
)
DEWAR = types.SimpleNamespace(
    lib=dewar,
    App=dewar.Dewar,
    Globals=AppGlobals,
    Provider=DefaultJSONProvider,
    Interface=SecureCookieSessionInterface,
)
#: Dewar makes these when they are first asked for, and asks for no more than it needs.
LAZY = (
    "app.create_url_adapter",
    "json.",
    "Response",
    "session.get_cookie_",
    "session.get_expiration_time",
)
SIGNALS = (
    "request_started",
    "request_finished",
    "got_request_exception",
    "request_tearing_down",
    "appcontext_pushed",
    "appcontext_popped",
    "appcontext_tearing_down",
    "template_rendered",
    "before_render_template",
    "message_flashed",
)


def methods_of(cls: type) -> list[str]:
    """Return the public methods of Flask's class."""
    return [
        name
        for name in dir(cls)
        if not name.startswith("_")
        and isinstance(inspect.getattr_static(cls, name), types.FunctionType)
        # What they return is kept, so how often they are called is nobody's business.
        and name not in {"ensure_sync", "async_to_sync"}
    ]


def traced(kit: Any, kind: str, trace: list[str], prefix: str) -> type:
    """Return a subclass whose public methods, those that Flask's has, note their calls."""

    def noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
            trace.append(f"{prefix}.{name}")
            return method(self, *args, **kwargs)

        return noted

    cls = getattr(kit, kind)
    names = methods_of(getattr(FLASK, kind))
    return type(kind, (cls,), {name: noting(name, getattr(cls, name)) for name in names})


def noting_init(cls: type, trace: list[str], name: str) -> type:
    """Return a subclass that notes when an instance is made."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        trace.append(name)
        super(made, self).__init__(*args, **kwargs)

    made = type(name, (cls,), {"__init__": __init__})
    return made


def make_app(kit: Any, trace: list[str], static: Path) -> Any:
    """Return an app whose every method, hook and signal is noted."""
    lib = kit.lib
    app_class = traced(kit, "App", trace, "app")
    app_class.request_class = noting_init(lib.Request, trace, "Request")
    app_class.response_class = noting_init(lib.Response, trace, "Response")
    app_class.app_ctx_globals_class = noting_init(kit.Globals, trace, "Globals")
    app_class.json_provider_class = traced(kit, "Provider", trace, "json")
    app_class.session_interface = traced(kit, "Interface", trace, "session")()
    app = app_class("traced", static_folder=static, static_url_path="/static")
    app.secret_key = "key"
    app.logger.disabled = True
    add_views(app, lib)
    add_hooks(app, lib, trace)
    trace.clear()
    return app


def add_views(app: Any, lib: Any) -> None:
    def fails(error: type[Exception]) -> Any:
        raise error("wanted")

    def keeps() -> str:
        lib.session["a"] = 1
        return "kept"

    def flashes() -> str:
        lib.flash("hi")
        return str(lib.get_flashed_messages())

    text = "{{ url_for('index') }}{{ g.x }}{{ session.a }}{{ config.DEBUG }}"
    views = {
        "/": lambda: "text",
        "/tuple": lambda: ("text", 201, {"X": "y"}),
        "/dict": lambda: {"a": 1},
        "/fails": lambda: fails(ZeroDivisionError),
        "/handled": lambda: fails(KeyError),
        "/abort": lambda: lib.abort(418),
        "/bad-request": lambda: lib.request.form["missing"],
        "/keeps": keeps,
        "/reads": lambda: str(lib.session.get("a")),
        "/template": lambda: lib.render_template_string(text),
        "/redirects": lambda: lib.redirect(lib.url_for("index", _external=True)),
        "/flashes": flashes,
        "/slash/": lambda: "slash",
        "/file": lambda: app.send_static_file("file.txt"),
        "/response": lambda: app.response_class("made"),
    }
    for path, view in views.items():
        app.add_url_rule(path, path.strip("/") or "index", view)
    part = lib.Blueprint("part", __name__, url_prefix="/part")
    part.add_url_rule("/x", "x", lambda: lib.url_for(".x"))
    part.before_request(lambda: None)
    app.register_blueprint(part)


def add_hooks(app: Any, lib: Any, trace: list[str]) -> None:
    def note(name: str, result: Any = None) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            trace.append(f"hook {name}")
            return args[0] if result is first else result

        return noted

    first = object()
    app.register_error_handler(KeyError, note("error handler", ("handled", 500)))
    app.before_request(note("before_request"))
    app.after_request(note("after_request", first))
    app.teardown_request(note("teardown_request"))
    app.teardown_appcontext(note("teardown_appcontext"))
    app.context_processor(note("context_processor", {}))
    app.url_value_preprocessor(note("url_value_preprocessor"))
    app.url_defaults(note("url_defaults"))
    for name in SIGNALS:
        receiver = note(f"signal {name}")
        getattr(lib, name).connect(receiver, app, weak=False)


def steps_of(trace: list[str], start: int) -> list[str]:
    return [step for step in trace[start:] if not step.startswith(LAZY)]


def visit(client: Any, method: str, path: str) -> Any:
    try:
        response = client.open(path, method=method)
    except ZeroDivisionError as error:
        return type(error)
    response.close()
    return response.status_code


REQUESTS = [
    *[("GET", path) for path in (
        "/", "/tuple", "/dict", "/fails", "/handled", "/abort", "/bad-request", "/keeps", "/reads",
        "/template", "/redirects", "/flashes", "/slash", "/file", "/static/file.txt", "/response",
        "/part/x", "/missing", "/static/missing",
    )],
    ("OPTIONS", "/"),
    ("HEAD", "/"),
    ("POST", "/"),
]  # fmt: skip


@pytest.mark.parametrize("testing", [False, True], ids=["serving", "testing"])
def test_overridden_methods_are_called_as_flask_calls_them(tmp_path: Path, testing: bool) -> None:
    """In the same order, with the same answers, for views of every kind and for errors."""
    (tmp_path / "file.txt").write_text("static")
    traces: dict[str, list[str]] = {"flask": [], "dewar": []}
    clients = {}
    for name, kit in (("flask", FLASK), ("dewar", DEWAR)):
        app = make_app(kit, traces[name], tmp_path)
        app.testing = testing
        clients[name] = app.test_client()
    for method, path in REQUESTS:
        seen = {}
        for name, client in clients.items():
            start = len(traces[name])
            answer = visit(client, method, path)
            seen[name] = answer, steps_of(traces[name], start)
        assert seen["dewar"] == seen["flask"], f"{method} {path}"


def test_no_overridable_method_is_forgotten(tmp_path: Path) -> None:
    """Together, the requests reach every method that Flask reaches with them."""
    (tmp_path / "file.txt").write_text("static")
    reached = {}
    for name, kit in (("flask", FLASK), ("dewar", DEWAR)):
        trace: list[str] = []
        client = make_app(kit, trace, tmp_path).test_client()
        for method, path in REQUESTS:
            visit(client, method, path)
        reached[name] = set(trace)
    assert reached["flask"] - reached["dewar"] == set()


def test_an_app_context_of_its_own_carries_each_request() -> None:
    """What a subclass's `app_context` returns is pushed before the request and popped after it."""
    steps: list[str] = []

    class Carrier(type(dewar.Dewar("any", static_folder=None).app_context())):  # type: ignore[misc]
        def push(self) -> None:
            steps.append("push")
            super().push()

        def pop(self, *args: Any) -> None:
            steps.append("pop")
            super().pop(*args)

    class App(dewar.Dewar):
        def app_context(self) -> Any:
            return Carrier(self)

    app = App("carried", static_folder=None)
    app.add_url_rule("/", "index", lambda: str(steps.append("view") or dewar.g.get("x")))
    app.teardown_appcontext(lambda error: steps.append("teardown"))
    assert app.test_client().get("/").status_code == 200
    assert steps == ["push", "view", "pop", "teardown"]
    steps.clear()
    with app.app_context():
        # It is there already.
        dewar.g.x = "shared"
        assert app.test_client().get("/").text == "shared"
    assert steps == ["push", "view", "pop", "teardown"]


@pytest.mark.parametrize("step", ["save_session", "should_set_cookie", "is_null_session"])
def test_a_session_interface_of_its_own_is_asked_each_time(step: str) -> None:
    """Whether a class or an instance brings it, and whether or not the view reads the session."""
    asked: list[str] = []

    def ask(self: Any, *args: Any) -> Any:
        asked.append(step)
        return getattr(SecureCookieSessionInterface, step)(self, *args)

    app = dewar.Dewar("asked", static_folder=None)
    app.secret_key = "key"

    @app.before_request
    def fill() -> None:
        if step == "should_set_cookie":
            dewar.session["x"] = 1

    app.add_url_rule("/", "index", lambda: "")
    app.session_interface = type("Own", (SecureCookieSessionInterface,), {step: ask})()
    app.test_client().get("/")
    assert asked == [step]
    stock = SecureCookieSessionInterface()
    setattr(stock, step, functools.partial(ask, stock))
    app.session_interface = stock
    app.test_client().get("/")
    assert asked == [step, step]


@pytest.mark.parametrize(
    "step", ["dispatch_request", "full_dispatch_request", "process_response", "preprocess_request"]
)
def test_what_a_tracing_tool_puts_on_the_class_is_called(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It replaces methods of the class itself, where nobody overrides anything."""
    called: list[str] = []
    method = getattr(dewar.Dewar, step)

    def traced_step(self: Any, *args: Any) -> Any:
        called.append(step)
        return method(self, *args)

    monkeypatch.setattr(dewar.Dewar, step, traced_step)
    app = dewar.Dewar("plain", static_folder=None)
    app.add_url_rule("/", "index", lambda: "text")
    assert app.test_client().get("/").text == "text"
    assert called == [step]
