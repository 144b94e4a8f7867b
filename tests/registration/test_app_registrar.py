"""What is registered on an app: template functions, blueprints, and when it is too late."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest

from dewar import Blueprint, Dewar, render_template_string
from dewar.registration.hooks import weakly

KINDS = {
    "template_filter": ("filters", "{{ 'x'|NAME }}"),
    "template_test": ("tests", "{{ 'x' is NAME }}"),
    "template_global": ("globals", "{{ NAME('x') }}"),
}


@pytest.fixture
def app() -> Dewar:
    return Dewar("registering", static_folder=None)


@pytest.mark.parametrize("kind", KINDS)
def test_template_functions_are_added_under_their_names(app: Dewar, kind: str) -> None:
    """Their own or another; decorated without and with parentheses, or added."""
    table, source = KINDS[kind]

    def own(value: str) -> str:
        return f"{value}!"

    decorate, add = getattr(app, kind), getattr(app, f"add_{kind}")
    assert decorate(own) is own
    assert decorate()(named(own, "empty")) is not None
    decorate("positional")(own)
    decorate(name="by_name")(own)
    add(own, "added")
    add(own, name="added_by_name")
    add(named(own, "added_own"))
    names = ["own", "empty", "positional", "by_name", "added", "added_by_name", "added_own"]
    assert set(names) <= set(getattr(app.jinja_env, table))
    with app.app_context():
        for name in names:
            assert render_template_string(source.replace("NAME", name)) == "x!"


def named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def other(*args: Any) -> Any:
        return function(*args)

    other.__name__ = name
    return other


def first(*given: Any) -> Any:
    return given[0] if given else None


def setup_calls() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Every way to register something on an app, with a call of it."""
    for name in ("get", "post", "put", "delete", "patch", "route"):
        yield name, lambda app, name=name: getattr(app, name)("/late")(str)
    for name in (
        "before_request", "after_request", "teardown_request", "context_processor",
        "url_value_preprocessor", "url_defaults", "teardown_appcontext", "shell_context_processor",
        "add_template_filter", "add_template_test", "add_template_global",
    ):  # fmt: skip
        yield (
            name,
            lambda app, name=name: getattr(app, name)(lambda *given: given[0] if given else None),
        )
    for name in ("template_filter", "template_test", "template_global"):
        yield name, lambda app, name=name: getattr(app, name)()(lambda *_: None)
    yield "endpoint", lambda app: app.endpoint("x")(str)
    yield "errorhandler", lambda app: app.errorhandler(404)(str)
    yield "register_error_handler", lambda app: app.register_error_handler(404, str)
    yield "add_url_rule", lambda app: app.add_url_rule("/late", "late", str)


CALLS = list(setup_calls())


@pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
def test_nothing_is_registered_after_the_first_request(
    app: Dewar, name: str, call: Callable[[Any], Any]
) -> None:
    """It is an AssertionError that says what to do, where it is one in Flask; before, it works."""
    theirs = flask.Flask("registering", static_folder=None)
    for fresh in (app, theirs):
        call(fresh)
        fresh.test_client().get("/")
        with pytest.raises(AssertionError, match="can no longer be called"):
            call(fresh)


def test_a_blueprint_that_comes_too_late(app: Dewar) -> None:
    """It is refused, and not half registered."""
    app.test_client().get("/")
    with pytest.raises(AssertionError, match=r"'register_blueprint'.*<Dewar 'registering'>"):
        app.register_blueprint(Blueprint("late", __name__))
    assert app.blueprints == {}


def test_a_blueprint_registers_itself(app: Dewar) -> None:
    """With the options as they are given; whatever has a `register` is one."""
    told: list[Any] = []

    class Odd:
        def register(self, app: Any, options: dict[str, Any]) -> None:
            told.append((app, options))

    app.register_blueprint(Odd(), url_prefix="/x", own=1)
    assert told == [(app, {"url_prefix": "/x", "own": 1})]


def test_a_method_is_called_weakly() -> None:
    """As long as its object lives, which it does not keep alive."""
    told: list[str] = []

    class Listener:
        def hear(self) -> None:
            told.append("heard")

    listener = Listener()
    call = weakly(listener.hear)
    call()
    alive = weakref.ref(listener)
    del listener
    assert alive() is None
    call()
    assert told == ["heard"]


@pytest.mark.parametrize("requests", [0, 1])
@pytest.mark.parametrize("static_folder", [None, "static"])
def test_an_app_nobody_holds_is_freed_at_once(static_folder: str | None, requests: int) -> None:
    """Without the garbage collector, whatever was registered on it, and after it has served."""
    gc.collect()
    gc.disable()
    try:
        app = Dewar("short", static_folder=static_folder)
        app.add_url_rule("/", "index", lambda: "x")
        app.before_request(lambda: None)
        app.teardown_appcontext(lambda error: None)
        blueprint = Blueprint("inner", __name__, url_prefix="/inner")
        blueprint.add_url_rule("/", "index", lambda: "y")
        app.register_blueprint(blueprint)
        for _ in range(requests):
            app.test_client().get("/").close()
        alive = weakref.ref(app)
        del app
        assert alive() is None
    finally:
        gc.enable()


def test_tables_of_an_app_that_is_gone_can_still_be_changed() -> None:
    """There is nobody to be told."""
    app = Dewar("short", static_folder=None)
    table, functions = app.before_request_funcs, app.teardown_appcontext_funcs
    del app
    table[None].append(str)
    functions.append(str)
    assert table == {None: [str]}
    assert functions == [str]
