"""One small shop, made with Dewar and with Flask."""

from types import ModuleType
from typing import Any

import flask
import pytest

import dewar


def make_shop(framework: ModuleType) -> Any:
    """Return the same app from either framework."""
    app = (framework.Dewar if framework is dewar else framework.Flask)("shop")
    app.secret_key = "a key for tests"

    @app.get("/")
    def index() -> str:
        framework.g.seen = "index"
        return "welcome"

    @app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def echo() -> dict[str, Any]:
        request = framework.request
        return {
            "url": request.url,
            "root": request.root_url,
            "method": request.method,
            "args": request.args,
            "form": request.form,
            "json": request.get_json(silent=True),
            "address": request.remote_addr,
            "agent": request.user_agent.string,
        }

    @app.get("/add/<item>")
    def add(item: str) -> list[str]:
        framework.session["items"] = [*framework.session.get("items", []), item]
        return framework.session["items"]

    @app.get("/away")
    def away() -> Any:
        framework.g.seen = "away"
        return framework.redirect("/")

    @app.get("/fail")
    def fail() -> str:
        raise LookupError("as asked")

    return app


@pytest.fixture(params=[dewar, flask], ids=["dewar", "flask"])
def framework(request: pytest.FixtureRequest) -> ModuleType:
    """Dewar, and Flask to hold it against."""
    return request.param


@pytest.fixture
def app(framework: ModuleType) -> Any:
    """The shop, in either framework."""
    return make_shop(framework)


@pytest.fixture
def shop() -> Any:
    """The shop in Dewar."""
    return make_shop(dewar)
