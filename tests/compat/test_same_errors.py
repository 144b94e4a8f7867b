"""A mistake raises what it raises on Flask: ``except`` and `pytest.raises` of programs work."""

import json
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import flask
import pytest

import dewar


def app_of(framework: ModuleType, **options: Any) -> Any:
    app = (dewar.Dewar if framework is dewar else flask.Flask)(
        "mistaken", **{"static_folder": None, **options}
    )
    app.testing = True
    return app


def used(framework: ModuleType) -> Any:
    """Return an app that has handled a request."""
    app = app_of(framework)
    app.test_client().get("/")
    return app


def registered(framework: ModuleType) -> Any:
    """Return a blueprint that belongs to an app."""
    blueprint = framework.Blueprint("b", "mistaken")
    app_of(framework).register_blueprint(blueprint)
    return blueprint


def view() -> str:
    return "view"


def do(target: Any, method: str, *args: Any, **options: Any) -> Any:
    return getattr(target, method)(*args, **options)


def within(framework: ModuleType, act: Callable[[], Any], **config: Any) -> Any:
    """Act while a request is handled."""
    app = app_of(framework)
    app.config.update(config)
    app.add_url_rule("/view", "view", view)
    app.add_url_rule("/item/<int:number>", "item", view)
    with app.test_request_context("/"):
        return act()


def outside(framework: ModuleType, act: Callable[[], Any]) -> Any:
    """Act while no request is handled, with an app."""
    with app_of(framework).app_context():
        return act()


def answer(framework: ModuleType, value: Any) -> Any:
    app = app_of(framework)
    app.add_url_rule("/", "view", lambda: value)
    return app.test_client().get("/")


LATE: dict[str, tuple[Any, ...]] = {
    "route": ("/",), "get": ("/",), "add_url_rule": ("/x", "x", view), "endpoint": ("x",),
    "before_request": (view,), "after_request": (view,), "teardown_request": (view,),
    "context_processor": (view,), "url_defaults": (view,), "url_value_preprocessor": (view,),
    "errorhandler": (404,), "register_error_handler": (404, view),
}  # fmt: skip
LATE_ON_APP = LATE | {
    "teardown_appcontext": (view,), "shell_context_processor": (view,), "template_filter": (),
    "add_template_filter": (view,), "template_test": (), "template_global": (),
}  # fmt: skip
LATE_ON_BLUEPRINT = LATE | {
    "record": (view,), "record_once": (view,), "before_app_request": (view,),
    "app_errorhandler": (404,), "app_template_filter": (), "app_url_defaults": (view,),
    "app_context_processor": (view,), "teardown_app_request": (view,),
}  # fmt: skip

MISTAKES: dict[str, Callable[[ModuleType], Any]] = {
    **{f"app.{name} is late": lambda f, n=name, a=args: do(used(f), n, *a)
       for name, args in LATE_ON_APP.items()},
    **{f"blueprint.{name} is late": lambda f, n=name, a=args: do(registered(f), n, *a)
       for name, args in LATE_ON_BLUEPRINT.items()},
    "blueprint is late": lambda f: used(f).register_blueprint(f.Blueprint("b", "b")),
    "blueprint of a late one": lambda f: registered(f).register_blueprint(f.Blueprint("c", "b")),
    "blueprint of itself": lambda f: (lambda b: b.register_blueprint(b))(f.Blueprint("b", "b")),
    "two blueprints of a name": lambda f: (
        lambda app: [app.register_blueprint(f.Blueprint("b", "b")) for _ in range(2)]
    )(app_of(f)),
    "blueprint twice": lambda f: (
        lambda app, b: [app.register_blueprint(b) for _ in range(2)]
    )(app_of(f), f.Blueprint("b", "b")),
    "dot in a name": lambda f: f.Blueprint("a.b", "b"),
    "empty name": lambda f: f.Blueprint("", "b"),
    "dot in an endpoint": lambda f: f.Blueprint("b", "b").add_url_rule("/", "a.b", view),
    "two views of an endpoint": lambda f: (
        lambda app: [app.add_url_rule("/", "x", partial(view)) for _ in range(2)]
    )(app_of(f)),
    "neither view nor endpoint": lambda f: app_of(f).add_url_rule("/"),
    "view without a name": lambda f: app_of(f).route("/")(partial(view)),
    "view that is missing": lambda f: (
        lambda app: (app.add_url_rule("/", "x"), app.test_client().get("/"))
    )(app_of(f)),
    "methods as text": lambda f: app_of(f).add_url_rule("/", "x", view, methods="GET"),
    "methods of get()": lambda f: app_of(f).get("/", methods=["GET"]),
    "rule without a slash": lambda f: app_of(f).add_url_rule("x", "x", view),
    "unknown converter": lambda f: app_of(f).add_url_rule("/<no:x>", "x", view),
    "variable twice": lambda f: app_of(f).add_url_rule("/<x>/<x>", "x", view),
    "unknown option": lambda f: app_of(f).add_url_rule("/", "x", view, no=1),
    **{f"handler for {thing!r}": lambda f, t=thing: app_of(f).register_error_handler(t, view)
       for thing in (200, 999, "404", None, dict, BaseException, ValueError("x"), [404])},
    "instance path": lambda f: app_of(f, instance_path="relative"),
    "static host": lambda f: app_of(f, static_folder="static", static_host="a"),
    "host matching": lambda f: app_of(f, static_folder="static", host_matching=True),
    "no static files": lambda f: app_of(f).send_static_file("x"),
    "unknown argument": lambda f: app_of(f, no=1),
    "writing a resource": lambda f: app_of(f).open_resource("x", "w"),
    "missing resource": lambda f: app_of(f).open_resource("no-such-file"),
    "missing variable": lambda f: app_of(f).config.from_envvar("NO_SUCH_VARIABLE"),
    "missing file": lambda f: app_of(f).config.from_pyfile("no-such-file"),
    "missing data": lambda f: app_of(f).config.from_file("no-such-file", json.load),
    "missing object": lambda f: app_of(f).config.from_object("no.such"),
    "no request": lambda f: f.request.path,
    "no session": lambda f: f.session["x"],
    "no app": lambda f: f.current_app.name,
    "no g": lambda f: f.g.x,
    "no request to copy": lambda f: f.copy_current_request_context(view),
    "no request to stream": lambda f: f.stream_with_context(iter([])),
    "no request to wait for": lambda f: f.after_this_request(view),
    "no app to link in": lambda f: f.url_for("x"),
    "no server name": lambda f: outside(f, lambda: f.url_for("x")),
    "no secret key": lambda f: within(f, lambda: do(f.session, "update", a=1)),
    "no key to flash": lambda f: within(f, lambda: f.flash("x")),
    "cookies off": lambda f: app_of(f).test_client(False).session_transaction().__enter__(),
    "unknown endpoint": lambda f: within(f, lambda: f.url_for("no")),
    "no endpoint": lambda f: within(f, lambda: f.url_for(None)),
    "no value": lambda f: within(f, lambda: f.url_for("item")),
    "wrong value": lambda f: within(f, lambda: f.url_for("item", number="x")),
    "lost scheme": lambda f: within(
        f, lambda: f.url_for("view", _scheme="https", _external=False)
    ),
    "missing template": lambda f: within(f, lambda: f.render_template("no-such-file")),
    "not JSON": lambda f: within(f, lambda: f.jsonify(object())),
    "two kinds of arguments": lambda f: within(f, lambda: f.jsonify(1, a=2)),
    "missing form field": lambda f: within(f, lambda: f.request.form["x"], DEBUG=True),
    "missing file field": lambda f: within(f, lambda: f.request.files["x"], DEBUG=True),
    "missing in g": lambda f: within(f, lambda: f.g.x),
    **{f"answer {value!r}": lambda f, v=value: answer(f, v)
       for value in (None, 3, ("a", 1, 2, 3), ("a",), (None, 200), ("a", "b", "c"), {1}, 2.5)},
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_is_of_the_class_that_flask_raises(mistake: str) -> None:
    """Or of a class of Dewar's that inherits from it."""
    act = MISTAKES[mistake]
    with pytest.raises(Exception) as theirs:  # noqa: PT011  # whatever Flask raises
        act(flask)
    kind = next(kind for kind in theirs.type.__mro__ if not kind.__module__.startswith("flask"))
    with pytest.raises(kind):
        act(dewar)
