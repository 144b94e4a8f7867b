"""Replaces each name of Flask's modules, runs a program, and prints which replacements were used.

Run it by ``python -m dewar.compat`` or, on Flask, by ``python``. It has no names of Dewar's.
"""

import contextlib
import datetime as dt
import functools
import importlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import flask
import flask.testing
import flask.views
import werkzeug.exceptions
import werkzeug.serving
import werkzeug.utils
from blinker import Signal
from click.testing import CliRunner

MODULES = [
    "app", "blueprints", "cli", "config", "ctx", "debughelpers", "helpers", "json",
    "json.provider", "json.tag", "logging", "sansio.app", "sansio.blueprints", "sansio.scaffold",
    "sessions", "templating", "testing", "views", "wrappers",
]  # fmt: skip
#: The classes that Flask's code calls by these names.
CALLED = {
    "BlueprintSetupState", "DispatchingJinjaLoader", "EnvironBuilder", "FileSystemLoader",
    "FlaskCliRunner", "FlaskClient", "InternalServerError", "ScriptInfo",
}  # fmt: skip
FOLDER = Path.cwd()


class Spy:
    """Stands for an object and notes its use."""

    def __init__(self, original: object, note: Callable[[], None]) -> None:
        vars(self).update(_original=original, _note=note)

    def __getattr__(self, name: str) -> Any:
        self._note()
        return getattr(self._original, name)


def spy_of(name: str, value: Any, note: Callable[[], None]) -> Any:
    """Return what notes the use of an object and does what it does; None for other objects."""
    if isinstance(value, Signal):
        return Spy(value, note)
    if isinstance(value, (FunctionType, BuiltinFunctionType)):

        @functools.wraps(value)
        def noted(*args: Any, **kwargs: Any) -> Any:
            note()
            return value(*args, **kwargs)

        return noted
    if isinstance(value, type) and name in CALLED:

        class Noted(value):  # type: ignore[misc]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                note()
                super().__init__(*args, **kwargs)

        return Noted
    return None


def replacements(module: ModuleType, used: set[str]) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(module).items()):
        spy = (
            None
            if name.startswith("__")
            else spy_of(name, value, functools.partial(used.add, name))
        )
        if spy is not None:
            yield name, spy


def make_app() -> Any:
    app = flask.Flask("replacing", root_path=str(FOLDER))
    app.secret_key = "key"
    app.logger.disabled = True
    flask.Flask("json")  # a module whose folder has to be found
    flask.Flask("other", root_path=str(FOLDER)).logger  # made now
    part = flask.Blueprint("part", "replacing", "static", "/own", root_path=str(FOLDER))
    part.add_url_rule("/x", "x", lambda: flask.url_for(".x"))
    app.register_blueprint(part, url_prefix="/part")
    app.context_processor(dict)
    app.cli.command("hello")(lambda: print("hello"))
    app.register_error_handler(409, lambda error: "handled")
    for number, view in enumerate(VIEWS):
        app.add_url_rule(f"/{number}", f"view{number}", view, methods=["GET", "POST"])
    app.add_url_rule("/class", view_func=Class.as_view("class"))
    for name in ("request_started", "request_finished", "template_rendered", "message_flashed"):
        getattr(flask, name).connect(lambda *_, **__: None, app, weak=False)
    return app


class Class(flask.views.MethodView):
    def get(self) -> str:
        return "class"


async def coroutine() -> str:
    return "coroutine"


def keep() -> Any:
    flask.session["a"] = (1, dt.date(2026, 1, 1))
    flask.flash("message")
    return {"date": dt.date(2026, 1, 1), "flashed": flask.get_flashed_messages()}


def after() -> str:
    flask.after_this_request(lambda response: response)
    return str(flask.copy_current_request_context(lambda: flask.request.path)())


VIEWS: list[Callable[..., Any]] = [
    lambda: "index",
    lambda: {"a": 1},
    lambda: flask.jsonify(a=flask.json.loads(flask.json.dumps(1))),
    lambda: flask.send_file("static/f.txt"),
    lambda: flask.send_from_directory("static", "f.txt"),
    lambda: flask.redirect("/x"),
    lambda: flask.abort(404),
    lambda: flask.abort(409),
    lambda: flask.render_template("t.html"),
    lambda: flask.render_template_string("{{ get_flashed_messages() }}{{ session }}"),
    lambda: flask.stream_template("t.html"),
    lambda: flask.stream_template_string("{{ 1 }}"),
    lambda: flask.get_template_attribute("t.html", "m")(),
    lambda: flask.make_response("made", 201),
    lambda: flask.stream_with_context(letter for letter in "ab"),
    lambda: flask.request.form["missing"],
    lambda: flask.request.get_json(),
    lambda: 1 // 0,
    keep,
    after,
    coroutine,
]


def run_program() -> None:
    app = make_app()
    client = app.test_client()
    paths = [f"/{number}" for number in range(len(VIEWS))]
    for path in [*paths, "/18", "/class", "/part/x", "/part/own/f.txt", "/static/f.txt", "/none"]:
        client.get(path).close()
    client.post("/16", json=[1]).get_json()
    client.open("/0", method="OPTIONS")
    with client, client.session_transaction() as session:
        session["b"] = 1
    with app.test_request_context("/0"):
        flask.url_for("view0")
    for outside in (lambda: flask.redirect("/x"), lambda: flask.abort(404)):
        with contextlib.suppress(werkzeug.exceptions.NotFound):
            outside()
    text = io.StringIO(flask.json.dumps({"a": dt.date(2026, 1, 1)}))
    flask.json.load(text)
    app.config.from_object("json")
    app.test_cli_runner().invoke(args=["hello"])
    os.environ.pop("FLASK_RUN_FROM_CLI", None)
    os.environ.pop("DEWAR_RUN_FROM_CLI", None)
    run_commands(app)


def run_commands(app: Any) -> None:
    # Not the function of a module: both frameworks look for the replacement when they serve.
    original, served = werkzeug.serving.run_simple, list[Any]()
    werkzeug.serving.run_simple = lambda *args, **_: served.append(args[:2])
    output, sys.stdout = sys.stdout, io.StringIO()
    try:
        app.run(load_dotenv=False)
    finally:
        werkzeug.serving.run_simple, sys.stdout = original, output
    assert served == [("127.0.0.1", 5000)]
    group = flask.cli.FlaskGroup(create_app=lambda: app)
    for arguments in (["routes"], ["hello"], ["--help"]):
        CliRunner().invoke(group, arguments)


def main() -> None:
    warnings.simplefilter("ignore")
    (FOLDER / "templates").mkdir(exist_ok=True)
    (FOLDER / "static").mkdir(exist_ok=True)
    (FOLDER / "templates/t.html").write_text("{{ 1 }}{% macro m() %}m{% endmacro %}")
    (FOLDER / "static/f.txt").write_text("file")
    run_program()
    found: dict[str, list[str]] = {}
    modules = {f"flask.{name}" for name in MODULES} | {"werkzeug.utils"}
    for name in sorted(modules):
        module, used = importlib.import_module(name), set[str]()
        originals = dict(vars(module))
        for known_as, spy in replacements(module, used):
            setattr(module, known_as, spy)
        try:
            run_program()
        finally:
            for known_as, value in originals.items():
                if vars(module).get(known_as) is not value:
                    setattr(module, known_as, value)
        found[name] = sorted(used)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
