from datetime import timedelta

import flask
import pytest
from werkzeug.wrappers import Response

from dewar.config import Config, ConfigAttribute, default_config
from dewar.json.provider import DefaultJSONProvider

KEY = "a key for tests"


class App:
    """The part of an app that sessions see."""

    response_class = Response
    debug = False
    secret_key = ConfigAttribute("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute("PERMANENT_SESSION_LIFETIME")

    def __init__(self, **config):
        self.config = Config(".", {**default_config(), "SECRET_KEY": KEY, **config})
        self.json = DefaultJSONProvider(self)


class Browser:
    """Keeps one cookie between requests; as a request, it is what it has been told so far."""

    path = "/"

    def __init__(self, **cookies):
        self.cookies = cookies

    def receive(self, response):
        for name, value in response.headers:
            if name == "Set-Cookie":
                key, rest = value.split("=", 1)
                self.cookies[key] = rest.split(";")[0]
        return response


@pytest.fixture
def make_app():
    """The class of apps: call it with settings as keywords."""
    return App


@pytest.fixture
def app():
    """An app with a secret key."""
    return App()


@pytest.fixture
def browser():
    """A browser without cookies."""
    return Browser()


@pytest.fixture
def flask_app():
    """A Flask app with the same secret key."""
    app = flask.Flask("theirs")
    app.secret_key = KEY
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(days=31)
    return app
