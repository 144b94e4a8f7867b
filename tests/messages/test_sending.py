"""A response is made and sent as Werkzeug makes and sends it, whichever way it takes."""

from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

import flask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from werkzeug.datastructures import Headers
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar import Dewar, Response
from dewar.messages import sending
from dewar.messages.header_fields import TYPE_FIELDS, is_ascii_url


class Reference(WerkzeugResponse):
    """Werkzeug's response with Dewar's defaults."""

    default_mimetype = "text/html"
    autocorrect_location_header = False


class Derived(Response):
    """A class of a program, which may have any method."""


NAMES = st.sampled_from(["Content-Location", "Location", "X-Name", "Set-Cookie", "location"])
NAMES |= st.sampled_from(["Content-Length", "Content-Type", "content-length", "content-type"])
VALUES = st.sampled_from(["7", "/a?b=c", "//a/b", "/å", "/a b", "text/css", "/%zz#", "a\nb", 7, ""])
BODIES = st.sampled_from(
    [None, "", "text", "å", b"bytes", bytearray(b"array"), Markup("<b>"), [], [b"a"], ["å"],
     [b"a", "å"], (b"a",), ()]
)  # fmt: skip
ARGUMENTS = st.fixed_dictionaries(
    {
        "response": BODIES,
        "status": st.sampled_from(
            [None, 100, 200, 201, 204, 301, 304, 404, 799, HTTPStatus.CREATED, "201 Made"]
        ),
        "headers": st.one_of(
            st.none(),
            st.dictionaries(NAMES, VALUES, max_size=3),
            st.lists(st.tuples(NAMES, VALUES), max_size=3),
            st.lists(st.tuples(NAMES, VALUES), max_size=3).map(tuple),
        ),
        "mimetype": st.sampled_from([None, None, *TYPE_FIELDS, "image/svg+xml", "", "a\nb"]),
        "content_type": st.sampled_from([None, None, "text/x", "a\nb"]),
        "direct_passthrough": st.booleans(),
    }
)


def later(response: Any) -> None:
    response.headers["X-Later"] = "1"


def closing(response: Any) -> None:
    response.call_on_close(lambda: None)


def correcting(response: Any) -> None:
    response.autocorrect_location_header = True


def without_length(response: Any) -> None:
    response.automatically_set_content_length = False
    del response.headers["Content-Length"]


def own_method(response: Any) -> None:
    response.get_app_iter = lambda environ: [b"own"]


def replaced(response: Any) -> None:
    response.headers = {"X-Name": "1"}


CHANGES = st.sampled_from(
    [lambda response: None, later, closing, correcting, without_length, own_method, replaced]
)


def made(cls: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return cls(**arguments)
    except (ValueError, AttributeError) as error:
        return type(error)


def sent(response: Any, method: str, way: Callable[..., Iterable[bytes]]) -> object:
    """Return what a server would get."""
    calls: list[object] = []
    environ = {
        "REQUEST_METHOD": method, "wsgi.url_scheme": "http", "HTTP_HOST": "shop.test",
        "SCRIPT_NAME": "", "PATH_INFO": "/",
    }  # fmt: skip
    body = way(response, environ, lambda *args: calls.append(args))
    return calls, [*body], hasattr(body, "close") or not response._on_close


def by_itself(response: Any, *args: Any) -> Any:
    return response(*args)


directly = partial(sending.send, may_change=False)
carefully = partial(sending.send, may_change=True)


@given(ARGUMENTS, CHANGES, st.sampled_from(["GET", "HEAD"]))
def test_each_way_gives_what_werkzeug_gives(
    arguments: dict[str, Any], change: Callable[[Any], None], method: str
) -> None:
    """The attributes, the status, the fields and the body."""
    expected = made(Reference, arguments)
    for cls in (Response, Derived):
        response = made(cls, arguments)
        if isinstance(expected, type):
            assert response is expected
            continue
        assert sorted(vars(response)) == sorted(vars(expected))
        assert [*response.headers] == [*expected.headers]
        assert (response.status, response.status_code) == (expected.status, expected.status_code)
        assert response.response == expected.response
    if isinstance(expected, type):
        return
    results = []
    ways: list[tuple[Any, Any]]
    ways = [
        (Reference, by_itself),
        (Response, by_itself),
        (Response, directly),
        (Response, carefully),
    ]
    for cls, way in ways:
        response = made(cls, arguments)
        change(response)
        try:
            results.append(sent(response, method, way))
        except (TypeError, AttributeError, ValueError) as error:
            results.append(type(error))
    assert results[1:] == [results[0]] * 3


@given(st.text("/a%?#:@[]å ;=&.\\\n", max_size=8).map("/".__add__))
def test_a_url_that_stays_is_one_that_werkzeug_would_not_change(url: str) -> None:
    """Werkzeug's way takes a hundred times as long."""
    if is_ascii_url(url):
        assert iri_to_uri(url) == url


@pytest.mark.parametrize("content_type", TYPE_FIELDS.values())
def test_a_plain_body_becomes_what_the_constructor_makes(content_type: tuple[str, str]) -> None:
    """With the same attributes."""
    expected = Response(b"text", content_type=content_type[1])
    response = sending.make(content_type, b"text")
    assert [*response.headers] == [*expected.headers]
    response.headers = expected.headers
    assert vars(response) == vars(expected)


def test_a_phrase_that_the_program_has_changed_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Werkzeug looks it up for each response."""
    monkeypatch.setitem(HTTP_STATUS_CODES, 404, "Not here")
    monkeypatch.setitem(HTTP_STATUS_CODES, 200, "Fine")
    assert Response(status=404).status == "404 NOT HERE"
    app = Dewar("shop")
    app.add_url_rule("/", view_func=lambda: "text")
    app.after_request(lambda response: response)
    assert app.test_client().get("/").status == "200 FINE"


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("default_mimetype", "text/plain"),
        ("default_status", 202),
        ("automatically_set_content_length", False),
        ("get_wsgi_headers", lambda self, environ: Headers({"X-Own": "1"})),
        ("get_app_iter", lambda self, environ: [b"own"]),
        ("iter_encoded", lambda self: iter([b"own"])),
        ("set_data", lambda self, value: setattr(self, "response", [b"own"])),
    ],
)
def test_a_member_replaced_on_the_class_is_used(
    name: str, member: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As before, when it is put back."""
    app = Dewar("shop")
    app.add_url_rule("/", view_func=lambda: "text")
    app.after_request(lambda response: response)
    answer = sent_by(app)
    with monkeypatch.context() as patch:
        patch.setattr(Response, name, member)
        patch.setattr(Reference, name, member)
        expected = app.test_client().get("/")
        reference = Reference("text")
        assert sent(reference, "GET", by_itself)[1] == [expected.data]  # type: ignore[index]
        assert expected.status == reference.status
        assert sent_by(app) != answer
    assert sent_by(app) == answer


def sent_by(app: Dewar) -> object:
    response = app.test_client().get("/")
    return response.status, [*response.headers], response.data


@given(st.lists(st.sampled_from([b"a", "å"])), st.booleans(), st.sampled_from(["GET", "HEAD"]))
def test_an_iterator_with_a_length_is_sent_as_werkzeug_sends_it(
    pieces: list[Any], has_length: bool, method: str
) -> None:
    """The page of an error is one."""
    headers = {"Content-Length": "3"} if has_length else {}
    assert sent(Response(iter(pieces), headers=headers), method, directly) == sent(
        Reference(iter(pieces), headers=headers), method, by_itself
    )


@pytest.mark.parametrize("framework", [Dewar, flask.Flask])
def test_a_teardown_function_may_still_add_what_is_closed(framework: Any) -> None:
    """The response of a hook is in use until the server closes the body."""
    app, calls = framework("app"), []
    kept = []

    @app.after_request
    def keep(response: Any) -> Any:
        kept.append(response)
        return response

    @app.teardown_request
    def add(_error: Any) -> None:
        kept[0].call_on_close(lambda: calls.append("closed"))

    app.add_url_rule("/", view_func=lambda: "text")
    with app.test_client() as client:
        client.get("/").close()
    assert calls == ["closed"]
