"""The fixtures that the tests of Flask-RESTX use."""

# ruff: noqa: S101 - these are the assertions of tests

from collections.abc import Iterator
from typing import Any

import flask
import flask_restx  # type: ignore[import-not-found]  # only in the environment of its suite
import pytest
from flask.testing import FlaskClient


class JsonClient(FlaskClient):
    """A client that requires JSON responses and returns their values."""

    def get_json(self, url: str, status: int = 200, **options: Any) -> Any:
        """Send a GET and return the JSON of the response."""
        return self._checked(self.get(url, **options), status)

    def post_json(self, url: str, data: Any, status: int = 200, **options: Any) -> Any:
        """POST JSON and return the JSON of the response."""
        return self._checked(self.post(url, json=data, **options), status)

    def get_specs(self, prefix: str = "", status: int = 200, **options: Any) -> Any:
        """Return the Swagger document of an API."""
        return self.get_json(f"{prefix}/swagger.json", status, **options)

    def _checked(self, response: Any, status: int) -> Any:
        assert response.status_code == status
        assert response.content_type == "application/json"
        return response.get_json()


@pytest.fixture
def app() -> flask.Flask:
    """An app with a JSON client, whose blueprints can have subdomains."""
    app = flask.Flask(__name__, subdomain_matching=True)
    app.test_client_class = JsonClient
    return app


@pytest.fixture
def api(request: pytest.FixtureRequest, app: flask.Flask) -> flask_restx.Api:
    """An API on a blueprint, both configured by the mark ``api`` of the test."""
    mark = request.node.get_closest_marker("api")
    options = dict(mark.kwargs) if mark else {}
    places = {"prefix": "url_prefix", "subdomain": "subdomain"}
    place = {places[name]: options.pop(name) for name in places.keys() & options.keys()}
    blueprint = flask.Blueprint("api", __name__, **place)
    api = flask_restx.Api(blueprint, **options)
    app.register_blueprint(blueprint)
    return api


@pytest.fixture(autouse=True)
def described_request(request: pytest.FixtureRequest) -> Iterator[None]:
    """Push the request that the mark ``request_context`` of the test describes."""
    mark = request.node.get_closest_marker("request_context")
    if mark is None:
        yield
        return
    app = request.getfixturevalue("app")
    with app.test_request_context(*mark.args, **mark.kwargs):
        yield
