"""`flask.sansio`: other frameworks are built on its classes, as Quart is."""

import asyncio
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import flask
import pytest

import dewar

FRAMEWORKS = ["flask", "dewar.compat.flask"]


@pytest.fixture(params=FRAMEWORKS)
def sansio(request: pytest.FixtureRequest) -> Callable[[str], ModuleType]:
    """Return what imports a module of ``flask.sansio``."""
    return lambda name: importlib.import_module(f"{request.param}.sansio.{name}")


def framework_on(sansio: Callable[[str], ModuleType]) -> tuple[type[Any], type[Any]]:
    """Return the app and the blueprint of a small framework without WSGI."""

    class App(sansio("app").App):  # type: ignore[misc]
        default_config = dict(flask.Flask.default_config)
        response_class = dict
        commands: Any = None

        def __init__(self, name: str, **options: Any) -> None:
            super().__init__(name, **options)
            self.add_url_rule(
                "/files/<path:filename>", endpoint="static", view_func=self.send_static_file
            )

        async def send_static_file(self, filename: str) -> Any:  # its own, and a coroutine function
            return filename

        async def handle(self, path: str) -> Any:
            """Answer by the tables of the app."""
            adapter = self.url_map.bind("localhost")
            endpoint, values = adapter.match(path)
            blueprint = endpoint.rpartition(".")[0] or None
            for name in [None] if blueprint is None else [None, blueprint]:
                for hook in self.before_request_funcs.get(name, ()):
                    hook()
            try:
                answer = self.view_functions[endpoint](**values)
                return await answer if asyncio.iscoroutine(answer) else answer
            except Exception as error:
                handler = self._find_error_handler(error, [blueprint] if blueprint else [])
                if handler is None:
                    raise
                return handler(error)

    class Blueprint(sansio("blueprints").Blueprint):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.cli = importlib.import_module("click").Group()

    return App, Blueprint


def test_an_app_has_no_rule_and_is_no_wsgi_callable(
    sansio: Callable[[str], ModuleType],
) -> None:
    """It has its folders and its tables; what answers requests is for the framework to add."""
    app_class = sansio("app").App
    for name in ("wsgi_app", "run", "test_client", "dispatch_request", "make_response"):
        assert not hasattr(app_class, name), name

    class Plain(app_class):  # type: ignore[misc, valid-type]
        default_config = dict(flask.Flask.default_config)

    app = Plain("plain")
    assert app.has_static_folder
    assert not callable(app)
    assert list(app.url_map.iter_rules()) == []
    assert (app.name, app.debug, app.testing, app.subdomain_matching) == (
        "plain", False, False, False,
    )  # fmt: skip
    assert Plain("hosts", host_matching=True, static_host="x").url_map.host_matching
    with pytest.raises(ValueError, match="absolute"):
        Plain("relative", instance_path="relative")


def test_a_framework_built_on_it_answers(sansio: Callable[[str], ModuleType]) -> None:
    """Its routes, blueprints, hooks and error handlers are in the tables that Flask's has."""
    app_class, blueprint_class = framework_on(sansio)
    app, calls = app_class("framework"), list[str]()

    @app.before_request
    def before() -> None:
        calls.append("app")

    part = blueprint_class("part", "framework", url_prefix="/part")
    inner = blueprint_class("inner", "framework", url_prefix="/inner")
    part.before_request(lambda: calls.append("part"))

    @part.route("/<int:number>")
    async def view(number: int) -> int:
        return 1 // number

    @inner.get("/page")
    def page() -> str:
        return "page"

    part.register_error_handler(ZeroDivisionError, lambda error: "handled")
    part.register_blueprint(inner)
    app.register_blueprint(part)
    app.register_error_handler(404, lambda error: "none")

    def ask(path: str) -> Any:
        return asyncio.run(app.handle(path))

    assert ask("/files/a/b.css") == "a/b.css"
    assert [ask("/part/1"), ask("/part/0"), ask("/part/inner/page")] == [1, "handled", "page"]
    assert calls == ["app", "app", "part", "app", "part", "app"]
    assert list(app.blueprints) == ["part", "part.inner"]
    values: dict[str, Any] = {}
    app.url_defaults(lambda endpoint, values: values.update(a=endpoint))
    app.inject_url_defaults("index", values)
    assert values == {"a": "index"}
    assert not app.should_ignore_error(None)
    assert not app.trap_http_exception(ValueError())


def test_a_scaffold_of_one_s_own_collects(sansio: Callable[[str], ModuleType]) -> None:
    """Hooks and handlers; only its rules are for a subclass to add."""

    class Own(sansio("scaffold").Scaffold):  # type: ignore[misc]
        def _check_setup_finished(self, name: str) -> None:
            self.asked = name

        def add_url_rule(self, rule: str, *args: Any, **options: Any) -> None:
            self.added = rule, options["methods"]

    own = Own("own", static_folder="static", root_path="/srv")
    own.post("/x")(lambda: "x")
    own.after_request(str)
    own.register_error_handler(404, str)
    assert own.added == ("/x", ["POST"])
    assert own.after_request_funcs[None] == [str]
    assert list(own.error_handler_spec[None]) == [404]
    assert own.asked == "register_error_handler"
    assert own.static_folder == "/srv/static"


def test_dewar_is_such_an_app() -> None:
    """A program may ask whether an app is one of these."""
    app_class = importlib.import_module("dewar.compat.flask.sansio.app").App
    assert issubclass(dewar.Dewar, app_class)
    assert app_class is not dewar.Dewar
