"""`EnvironBuilder`: where a made-up request is sent to."""

import datetime as dt
import json
from typing import Any

import flask.testing
import pytest
from werkzeug.test import create_environ

import dewar
from dewar.testing.environ import EnvironBuilder
from dewar.testing.errors import AddressGivenTwiceError

SETTINGS = [
    {},
    {"SERVER_NAME": "shop.example"},
    {"SERVER_NAME": "shop.example:8080", "APPLICATION_ROOT": "/app"},
    {"APPLICATION_ROOT": "app/", "PREFERRED_URL_SCHEME": "https"},
]
REQUESTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("/a/b",), {}),
    (("/a?b=1&c=%20",), {}),
    (("a",), {}),
    (("?b=1",), {}),
    (("http://other.example:81/x?y=1",), {}),
    (("//other.example/x",), {}),
    (("/a",), {"subdomain": "admin"}),
    (("/a",), {"url_scheme": "https"}),
    (("/a",), {"subdomain": "admin", "url_scheme": "wss"}),
    (("/a",), {"base_url": "https://base.example/root"}),
    (("/a",), {"query_string": {"b": [1, 2]}}),
    (("/ä",), {"method": "POST", "data": {"k": "ü"}}),
    (("/a", None, "sub", "https", {"q": "1"}, "PUT"), {}),
    (("/a",), {"json": {"b": [1, None]}}),
]


def essence(environ: dict[str, Any]) -> dict[str, Any]:
    """The parts of an environ that can be compared."""
    body = environ["wsgi.input"].read()
    return {**{k: v for k, v in environ.items() if isinstance(v, str)}, "body": body}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("args", "kwargs"), REQUESTS, ids=str)
def test_the_environ_is_flask_s(
    settings: dict[str, str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """The same configuration and arguments make the same environ as with Flask."""
    environs = []
    for app, builder_class in (
        (dewar.Dewar("x"), EnvironBuilder),
        (flask.Flask("x"), flask.testing.EnvironBuilder),
    ):
        app.config.update(settings)
        with_boundary = builder_class(app, *args, **kwargs)
        environs.append(essence(with_boundary.get_environ()))
    assert environs[0] == environs[1]


def test_json_is_written_by_the_app(shop: Any) -> None:
    """What the app can write, a request can carry."""
    day = dt.date(2024, 5, 17)
    builder = EnvironBuilder(shop, json={"day": day})
    body = builder.get_environ()["wsgi.input"].read()
    assert json.loads(body) == json.loads(shop.json.dumps({"day": day}))
    assert builder.content_type == "application/json"


@pytest.mark.parametrize("part", [{"subdomain": "a"}, {"url_scheme": "https"}])
def test_an_address_is_given_once(shop: Any, part: dict[str, str]) -> None:
    """A base URL and a part of one contradict each other."""
    with pytest.raises(AddressGivenTwiceError, match="leave base_url out") as caught:
        EnvironBuilder(shop, base_url="http://x.example", **part)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.base_url == "http://x.example"


def test_a_request_context_takes_the_same_arguments(shop: Any) -> None:
    """`app.test_request_context` is made from a builder."""
    with shop.test_request_context("/echo?a=1", method="POST", json={"b": 2}, subdomain="s"):
        assert dewar.request.url == "http://s.localhost/echo?a=1"
        assert dewar.request.json == {"b": 2}


def test_a_builder_can_start_from_an_environ(shop: Any) -> None:
    """`from_environ` needs the app by name."""
    environ = create_environ("/a?b=1", "http://x.example/root")
    builder = EnvironBuilder.from_environ(environ, app=shop)
    request = builder.get_request()
    assert request.url == "http://x.example/root/a?b=1"
