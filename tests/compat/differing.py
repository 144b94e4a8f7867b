"""Differences from Flask: functions that see what a framework does, and what each of them does."""

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from inspect import iscoroutinefunction
from types import ModuleType
from typing import Any
from warnings import catch_warnings

import flask
import flask.globals
import flask.views
import pytest
from werkzeug.routing import BuildError

import dewar
import dewar.globals
import dewar.views

told: ContextVar[str] = ContextVar("told", default="unset")


def app_of(framework: ModuleType, **options: Any) -> Any:
    app = (dewar.Dewar if framework is dewar else flask.Flask)(
        "different", **{"static_folder": None, **options}
    )
    app.logger.disabled = True
    app.secret_key = "key"
    return app


def teardown_functions(framework: ModuleType) -> list[str]:
    ran: list[str] = []
    app = app_of(framework)

    @app.teardown_request
    def last(error: Any) -> None:
        ran.append("last")

    @app.teardown_request
    def fails(error: Any) -> None:
        ran.append("fails")
        raise ValueError

    with suppress(ValueError), app.test_request_context("/"):
        pass
    return ran


def request_at_the_beginning(framework: ModuleType) -> list[bool]:
    seen: list[bool] = []
    app = app_of(framework)

    def see(_: Any, **__: Any) -> None:
        seen.append(framework.has_request_context())

    with framework.appcontext_pushed.connected_to(see, app), app.test_request_context("/"):
        pass
    return seen


def request_at_the_end(framework: ModuleType) -> list[bool]:
    seen: list[bool] = []
    app = app_of(framework)
    app.teardown_appcontext(lambda error: seen.append(framework.has_request_context()))
    with app.test_request_context("/"):
        pass
    return seen


def method_that_is_missing(framework: ModuleType) -> Any:
    class View(framework.views.MethodView):  # type: ignore[name-defined, misc]
        methods = ["GET", "POST"]

        def get(self) -> str:
            return "get"

    app = app_of(framework)
    app.testing = True
    app.add_url_rule("/", view_func=View.as_view("view"))
    try:
        return app.test_client().post("/").status_code
    except AssertionError:
        return AssertionError


def views_made_synchronous(framework: ModuleType) -> int:
    app = app_of(framework)
    calls: list[Any] = []
    app.ensure_sync = lambda f: calls.append(f) or f
    app.add_url_rule("/", "view", lambda: "view")
    for _ in range(3):
        app.test_client().get("/")
    return len(calls)


def cookie_below_a_path(framework: ModuleType) -> str:
    app = app_of(framework)
    app.add_url_rule("/", "view", lambda: framework.session.setdefault("a", "x"))
    outer = app_of(framework)
    if framework is dewar:
        outer.mount("/admin", app)
        answer = outer.test_client().get("/admin/")
    else:
        answer = app.test_client().get("/", environ_base={"SCRIPT_NAME": "/admin"})
    return str(answer.headers["Set-Cookie"].partition("=")[0])


def fallback_keys_as_text(framework: ModuleType) -> Any:
    app = app_of(framework)
    app.config["SECRET_KEY_FALLBACKS"] = "old"
    try:
        app.session_interface.get_signing_serializer(app)
    except TypeError:
        return TypeError
    return None


def chunked_body_above_the_limit(framework: ModuleType) -> int:
    app = app_of(framework)
    app.config["MAX_CONTENT_LENGTH"] = 4
    app.add_url_rule("/", "v", lambda: framework.request.data, methods=["POST"])
    environ = {"wsgi.input": io.BytesIO(b"123456"), "wsgi.input_terminated": True}
    environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    return int(app.test_client().post("/", environ_overrides=environ).status_code)


def what_a_stream_has_set(framework: ModuleType) -> list[str]:
    """What is read between two pieces."""

    def pieces() -> Any:
        told.set("by the stream")
        yield "a"
        yield "b"

    def read() -> list[str]:
        with app_of(framework).test_request_context("/"):
            stream = framework.stream_with_context(pieces())
        next(stream)
        found = [told.get()]
        stream.close()
        return found

    return copy_context().run(read)


def contexts_of_calls(framework: ModuleType) -> int:
    current = framework.globals.request_ctx._get_current_object
    with app_of(framework).test_request_context("/"):
        copy = framework.copy_current_request_context(current)
    # Both are kept, so that the second is not at the place of the first.
    contexts = [copy(), copy()]
    return len({id(context) for context in contexts})


def functions_without_parentheses(framework: ModuleType) -> list[str]:
    """Those for templates of which the environment knows the name."""
    app, blueprint = app_of(framework), framework.Blueprint("part", __name__)

    def shout(text: str) -> str:
        return text.upper()

    def whisper(text: str) -> str:
        return text.lower()

    kinds = {"filter": "filters", "test": "tests", "global": "globals"}
    for kind in kinds:
        getattr(app, f"template_{kind}")(shout)
        getattr(blueprint, f"app_template_{kind}")(whisper)
    app.register_blueprint(blueprint)
    return [
        f"{kind} {name}"
        for kind, table in kinds.items()
        for name in ("shout", "whisper")
        if name in getattr(app.jinja_env, table)
    ]


def adapters_that_nobody_asked_for(framework: ModuleType) -> int:
    app = app_of(framework)
    made: list[Any] = []
    create = app.create_url_adapter
    app.create_url_adapter = lambda request: made.append(request) or create(request)
    with app.app_context():
        app.test_request_context("/")
    return len(made)


def coroutine_view_inside_a_loop(framework: ModuleType) -> int:
    app = app_of(framework)

    async def view() -> str:
        return "view"

    app.add_url_rule("/", "view", view)

    async def main() -> int:
        return int(app.test_client().get("/").status_code)

    with catch_warnings(action="ignore"):  # of the coroutine that Flask does not await
        return asyncio.run(main())


def views_that_are_coroutine_functions(framework: ModuleType) -> list[bool]:
    """The view of a class of coroutines, and that of one with decorators."""

    class View(framework.views.View):  # type: ignore[name-defined, misc]
        async def dispatch_request(self) -> str:
            return "view"

    class Decorated(View):
        decorators = (lambda view: view,)

    return [iscoroutinefunction(kind.as_view("view")) for kind in (View, Decorated)]


def objects_that_are_one(framework: ModuleType) -> list[bool]:
    """Whether the contexts of a request are one, and have one class and the same names."""
    app = app_of(framework)
    kinds = (type(app.app_context()), type(app.test_request_context("/")))
    with app.test_request_context("/"):
        of_app = framework.globals.app_ctx._get_current_object()
        of_request = framework.globals.request_ctx._get_current_object()
        of_app.kept = "kept"
        return [of_app is of_request, kinds[0] is kinds[1], hasattr(of_request, "kept")]


def app_after_a_pop_out_of_order(framework: ModuleType) -> Any:
    def pop() -> Any:
        outer, inner = app_of(framework).app_context(), app_of(framework).app_context()
        outer.push()
        inner.push()
        with suppress(AssertionError):
            outer.pop()
        return framework.has_app_context() and framework.globals.app_ctx == inner

    return copy_context().run(pop)


def context_between_pieces(framework: ModuleType) -> bool:
    def read() -> bool:
        with app_of(framework).test_request_context("/"):
            stream = framework.stream_with_context(iter("ab"))
        next(stream)
        found = framework.has_request_context()
        stream.close()
        return bool(found)

    return copy_context().run(read)


def one_session_interface(framework: ModuleType) -> list[bool]:
    """Whether two apps share one, and whether their class has it."""
    one, two = app_of(framework), app_of(framework)
    return [one.session_interface is two.session_interface, hasattr(type(one), "session_interface")]


def variables_that_are_read(framework: ModuleType) -> list[str | None]:
    """Where both kinds are set, and where one is."""
    app = app_of(framework)
    variables = {"FLASK_BOTH": "flask", "DEWAR_BOTH": "dewar", "FLASK_ONE": "flask"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        app.config.from_prefixed_env()
    return [app.config.get("BOTH"), app.config.get("ONE")]


def what_is_missing_in_g(framework: ModuleType) -> bool:
    """Whether the error shows how to read it with a default."""
    with app_of(framework).app_context():
        try:
            framework.g.user  # raises
        except AttributeError as error:
            return "g.get('user', None)" in str(error)
    raise AssertionError


def link_with_a_colon(framework: ModuleType) -> str | None:
    """The URL of another app's view, which is mounted on Dewar."""
    outer, inner = app_of(framework), app_of(framework)
    inner.add_url_rule("/page", "page", lambda: "page")
    if framework is dewar:
        outer.mount("/inner", inner, name="inner")
    with outer.test_request_context("/"):
        try:
            return str(framework.url_for("inner:page"))
        except BuildError:
            return None


def encoding_of_a_resource(framework: ModuleType) -> bool:
    """Whether it is UTF-8 where the locale has only ASCII."""
    name = "dewar import Dewar" if framework is dewar else "flask import Flask"
    program = (
        f"from {name} as App; app = App('x', root_path='.')\n"
        f"print(app.open_resource({str(__file__)!r}, 'r').encoding)"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    ended = subprocess.run(
        command, env={**os.environ, **locale}, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip().lower() == "utf-8"


DIFFERENCES: dict[str, tuple[Callable[[ModuleType], Any], Any, Any]] = {
    "every teardown function runs": (teardown_functions, ["fails"], ["fails", "last"]),
    "the request is visible at the end": (request_at_the_end, [False], [True]),
    "the request is visible at the beginning": (request_at_the_beginning, [False], [True]),
    "a MethodView without the method": (method_that_is_missing, AssertionError, 405),
    "ensure_sync is called once": (views_made_synchronous, 3, 1),
    "a mounted app has its cookie": (cookie_below_a_path, "session", "session~admin"),
    "fallback keys are a list": (fallback_keys_as_text, None, TypeError),
    "a long chunked body": (chunked_body_above_the_limit, 200, 413),
    "what a stream sets": (what_a_stream_has_set, ["by the stream"], ["unset"]),
    "each call has a context": (contexts_of_calls, 1, 2),
    "the encoding of a resource": (encoding_of_a_resource, False, True),
    "template functions without parentheses": (
        functions_without_parentheses,
        [],
        [
            f"{kind} {name}"
            for kind in ("filter", "test", "global")
            for name in ("shout", "whisper")
        ],
    ),
    "the URL adapter is made when needed": (adapters_that_nobody_asked_for, 2, 0),
    "a coroutine view inside a loop": (coroutine_view_inside_a_loop, 500, 200),
    "a class of coroutines": (
        views_that_are_coroutine_functions,
        [False, False],
        [True, False],
    ),
    "the contexts are one object": (objects_that_are_one, [False] * 3, [True] * 3),
    "a pop out of order": (app_after_a_pop_out_of_order, False, True),
    "between two pieces": (context_between_pieces, True, False),
    "an interface of each app": (one_session_interface, [True, True], [False, False]),
    "the repr of an app": (lambda f: repr(app_of(f)), "<Flask 'different'>", "<Dewar 'different'>"),
    "variables": (variables_that_are_read, ["flask", "flask"], ["dewar", "flask"]),
    "g names what is missing": (what_is_missing_in_g, False, True),
    "a link with a colon": (link_with_a_colon, None, "/inner/page"),
}
