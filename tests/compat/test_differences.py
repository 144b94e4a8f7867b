"""Each difference that `differences-from-flask.md` lists: Flask does one thing, Dewar the other.

What the page shows in an example is tested there. A difference that is gone fails here.
"""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, copy_context
from types import ModuleType
from typing import Any

import flask
import flask.globals
import flask.views
import pytest

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


def filter_without_parentheses(framework: ModuleType) -> bool:
    app = app_of(framework)

    def shout(text: str) -> str:
        return text.upper()

    app.template_filter(shout)
    return "shout" in app.jinja_env.filters


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
    "a MethodView without the method": (method_that_is_missing, AssertionError, 405),
    "ensure_sync is called once": (views_made_synchronous, 3, 1),
    "a mounted app has its cookie": (cookie_below_a_path, "session", "session~admin"),
    "fallback keys are a list": (fallback_keys_as_text, None, TypeError),
    "a long chunked body": (chunked_body_above_the_limit, 200, 413),
    "what a stream sets": (what_a_stream_has_set, ["by the stream"], ["unset"]),
    "each call has a context": (contexts_of_calls, 1, 2),
    "the encoding of a resource": (encoding_of_a_resource, False, True),
    "template_filter without parentheses": (filter_without_parentheses, False, True),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_the_page_is_right_about_both(difference: str) -> None:
    """Flask does the one thing and Dewar the other."""
    see, on_flask, on_dewar = DIFFERENCES[difference]
    assert see(flask) == on_flask
    assert see(dewar) == on_dewar
