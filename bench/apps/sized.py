"""Applications of any size in each framework: many routes, hooks, nested blueprints.

A maker returns the application and the paths to request, all of which return the same text.
"""

import importlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from wsgiref.types import WSGIApplication

TEXT = "Hello, World!"
# How many different paths are requested: some of the routes, spread over all of them.
_SAMPLE = 64

Sized = tuple[WSGIApplication, list[str]]
Maker = Callable[[int], Sized]


def _sample(count: int) -> list[int]:
    return sorted({round(n * (count - 1) / (_SAMPLE - 1)) for n in range(_SAMPLE)})


def _static(number: int) -> str:
    return f"{_group(number)}/page{number}"


def _group(number: int) -> str:
    # A hundred routes each, as in a large program: no framework has 10,000 names to compare.
    return f"/group{number // 100}"


def _paths(count: int, end: str = "") -> list[str]:
    return [_static(number) + end for number in _sample(count)]


def _view(**_variables: object) -> str:
    return TEXT


class FlaskLike:
    """Makes the applications of Flask, or of Dewar, which has its interface."""

    def __init__(self, module: str, name: str) -> None:
        self._module: Any = importlib.import_module(module)
        self._name = name

    def _app(self) -> Any:
        return getattr(self._module, self._name)("sized", static_folder=None)

    def static(self, count: int) -> Sized:
        """Return an app with routes without variables."""
        app = self._app()
        for number in range(count):
            app.add_url_rule(_static(number), f"view{number}", _view)
        return app, _paths(count)

    def variables(self, count: int) -> Sized:
        """Return an app with routes that have an integer and a string."""
        app = self._app()
        for number in range(count):
            app.add_url_rule(f"{_static(number)}/<int:id>/<name>", f"view{number}", _view)
        return app, _paths(count, "/42/tea")

    def hooks(self, count: int) -> Sized:
        """Return an app with hooks, half of them before the view and half after it."""
        app = self._app()
        app.add_url_rule("/", "view", _view)
        for _ in range(count // 2):
            app.before_request(lambda: None)
            app.after_request(lambda response: response)
        return app, ["/"]

    def nested(self, depth: int) -> Sized:
        """Return an app with a view in a blueprint in a blueprint, and so on."""
        app = self._app()
        blueprint = self._module.Blueprint
        levels = [blueprint(f"b{n}", "sized", url_prefix=f"/b{n}") for n in range(depth)]
        registrars = [app, *levels]
        registrars[-1].add_url_rule("/page", "view", _view)
        for outer, inner in reversed(list(pairwise(registrars))):
            outer.register_blueprint(inner)
        return app, [_nested_path(depth)]


class FalconApps:
    """Makes the applications of Falcon."""

    def __init__(self) -> None:
        self._falcon: Any = importlib.import_module("falcon")

    def on_get(self, _request: Any, response: Any, **_variables: object) -> None:
        """Greet: this object is every resource."""
        response.content_type = self._falcon.MEDIA_TEXT
        response.text = TEXT

    def static(self, count: int) -> Sized:
        """Return an app with routes without variables."""
        return self._with([_static(number) for number in range(count)]), _paths(count)

    def variables(self, count: int) -> Sized:
        """Return an app with routes that have an integer and a string."""
        routes = [f"{_static(number)}/{{id:int}}/{{name}}" for number in range(count)]
        return self._with(routes), _paths(count, "/42/tea")

    def hooks(self, count: int) -> Sized:
        """Return an app with middleware, each with a method before and one after the view."""
        app = self._falcon.App(middleware=[_FalconHooks() for _ in range(count // 2)])
        app.add_route("/", self)
        return app, ["/"]

    def nested(self, depth: int) -> Sized:
        """Return an app with the same path: there are no blueprints."""
        return self._with([_nested_path(depth)]), [_nested_path(depth)]

    def _with(self, routes: list[str]) -> Any:
        app = self._falcon.App()
        for route in routes:
            app.add_route(route, self)
        return app


class _FalconHooks:
    def process_request(self, _request: Any, _response: Any) -> None:
        """Do nothing."""

    def process_response(self, _request: Any, _response: Any, _res: Any, _ok: bool) -> None:
        """Do nothing."""


def _nested_path(depth: int) -> str:
    return "".join(f"/b{level}" for level in range(depth)) + "/page"


FRAMEWORKS: dict[str, Callable[[], Any]] = {
    "Dewar": lambda: FlaskLike("dewar", "Dewar"),
    "Falcon": FalconApps,
    "Flask": lambda: FlaskLike("flask", "Flask"),
}
CASES = ("static", "variables", "hooks", "nested")
