"""Middleware around ``app.wsgi_app`` may keep the app too, for its configuration."""

from itertools import product
from typing import Any

import pytest

from dewar import Dewar, session
from dewar.mounting.apps import descend, parts, walk
from dewar.server.lifespan import begin_serving


class Middleware:
    """Calls what it was put around, which is under an attribute, and keeps the app under others.

    Args:
        app: The app.
        calls: The attribute of what it calls.
        keeps: The attribute of the app; None if it does not keep it.
    """

    def __init__(self, app: Dewar, calls: str, keeps: str | None) -> None:
        vars(self)[calls] = app.wsgi_app
        if keeps is not None:
            vars(self)[keeps] = app
        self._calls = calls

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return vars(self)[self._calls](environ, start_response)


NAMES = ("app", "wsgi_app", "_inner")
SHAPES = [(calls, keeps) for calls, keeps in product(NAMES, (*NAMES, None)) if calls != keeps]


@pytest.mark.parametrize("shapes", [*product(SHAPES), *product(SHAPES[:4], SHAPES[:4])])
def test_all_that_looks_through_middleware_ends(shapes: tuple[tuple[str, str | None], ...]) -> None:
    """And finds the app."""
    app = Dewar("shop")
    app.secret_key = "key"
    app.add_url_rule("/", view_func=lambda: str(session.get("colour")))
    for calls, keeps in shapes:
        app.wsgi_app = Middleware(app, calls, keeps)
    client = app.test_client()
    with client.session_transaction() as changed:
        changed["colour"] = "blue"
    assert client.get("/").text == "blue"
    assert len([part for part in parts(app) if part is app]) in (1, 2)  # outside and inside
    assert [mounted.app for mounted in walk(app) if mounted.app is app] == [app]
    assert descend(app, {"PATH_INFO": "/", "SCRIPT_NAME": ""}) is not None
    begin_serving(app)
