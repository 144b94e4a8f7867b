"""What `request` tells without an object is what the object tells."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.routing import Rule
from werkzeug.test import EnvironBuilder

from dewar import Dewar, Request, request
from dewar.globals import request_ctx
from dewar.messages.environ_attributes import early_attributes

EARLY = sorted(early_attributes(Request))
TEXTS = st.text(st.sampled_from('aZ09=&;%+ "\\,\xe9\u1234/'), max_size=12)
ENVIRONS = st.fixed_dictionaries(
    {"REQUEST_METHOD": st.sampled_from(["GET", "post", "M-SEARCH", ""])},
    optional={
        "QUERY_STRING": TEXTS,
        "HTTP_COOKIE": TEXTS,
        "PATH_INFO": TEXTS,
        "SCRIPT_NAME": TEXTS,
        "SERVER_NAME": st.sampled_from(["here", ""]),
        "SERVER_PORT": st.sampled_from(["80", "x", ""]),
        "REMOTE_ADDR": st.sampled_from(["127.0.0.1", ""]),
        "wsgi.url_scheme": st.sampled_from(["http", "https"]),
        "HTTP_HOST": st.just("here"),
        "CONTENT_TYPE": st.just("text/plain"),
    },
)


def latin(environ: dict[str, str]) -> dict[str, Any]:
    """Return an environ with strings as PEP 3333 has them."""
    return {key: value.encode().decode("latin-1") for key, value in environ.items()}


def shown(value: Any) -> Any:
    if isinstance(value, MultiDict):
        value = list(value.items(multi=True))
    return type(value), list(value) if isinstance(value, Headers) else value


@given(ENVIRONS)
def test_they_are_those_of_the_object(environ: dict[str, str]) -> None:
    """Each of them, on its own."""
    app = Dewar("early", static_folder=None)
    for name in EARLY:
        context = app.request_context(latin(environ))
        context._dewar_url_rule = Rule("/")  # nothing is looked for, which would take an object
        with context:
            early = getattr(request, name)
        assert shown(early) == shown(getattr(Request(latin(environ)), name))


@pytest.fixture
def environ() -> dict[str, Any]:
    builder = EnvironBuilder("/a?x=1&x=2", headers={"Cookie": "c=d"})
    builder.environ_base = {"REMOTE_ADDR": "127.0.0.1"}
    return builder.get_environ()


def test_none_of_them_takes_an_object(environ: dict[str, Any]) -> None:
    """The object that is made later has them as they are."""
    with Dewar("early", static_folder=None).request_context(environ):
        request_ctx._dewar_request = None  # routing without a rule has made it
        found = {name: getattr(request, name) for name in EARLY}
        assert {name: getattr(request, name) for name in EARLY} == found
        assert request_ctx._dewar_request is None
        assert request.url == "http://localhost/a?x=1&x=2"
        assert request_ctx._dewar_request is not None
        assert all(getattr(request, name) is found[name] for name in EARLY)


def test_a_class_of_the_program_is_asked_for_what_it_has(environ: dict[str, Any]) -> None:
    """Its attributes, and the classes that it names."""

    class Own(Request):
        parameter_storage_class = MultiDict
        path = "own"

    app = Dewar("early", static_folder=None)
    app.request_class = Own
    with app.request_context(environ):
        assert type(request.args) is MultiDict
        assert request.path == "own"
    assert {"args", "path"}.isdisjoint(early_attributes(Own))
    assert "query_string" in early_attributes(Own)
    assert "cookies" not in early_attributes(type("Own", (Request,), {"dict_storage_class": dict}))


def test_what_a_test_puts_on_the_class_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the next request of the test client on."""
    app = Dewar("early", static_folder=None)
    app.add_url_rule("/", "index", lambda: request.path)
    client = app.test_client()
    assert client.get("/").text == "/"
    monkeypatch.setattr(Request, "path", "/other")
    assert client.get("/").text == "/other"
    monkeypatch.undo()
    assert client.get("/").text == "/"


def test_an_attribute_that_is_set_stays(environ: dict[str, Any]) -> None:
    """Also if it was asked for before."""
    with Dewar("early", static_folder=None).request_context(environ):
        assert request.path == "/a"
        request.path = "/b"
        assert request.path == "/b"
        assert request._get_current_object().path == "/b"  # type: ignore[attr-defined]  # a proxy
