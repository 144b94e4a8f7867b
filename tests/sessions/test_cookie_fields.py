"""The fields of a session are those that Werkzeug reads and writes."""

import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import EnvironHeaders, Headers, ImmutableMultiDict
from werkzeug.test import create_environ
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.sessions.cookie_fields import add_cookie, read_cookie, vary_by_cookie
from dewar.sessions.secure_cookie import lazy_sha1
from dewar.sessions.signing import make_signing

SIGNING = make_signing(("key",), "salt", "hmac", lazy_sha1, serializer=None, json=None)


def make_request(cookie: str | None, cls: type[Request] = Request) -> Request:
    """Return a request with a ``Cookie`` field."""
    environ = create_environ("/")
    if cookie is not None:
        environ["HTTP_COOKIE"] = cookie
    return cls(environ)


names = st.sampled_from(["session", "session~admin", "s", "é", "", "a b", "a=b", "a;b", '"', "s("])
pieces = st.sampled_from(
    [
        "session",
        "session=a.b-c_d",
        "session =x",
        "session= y ",
        "xsession=1",
        "sessionx=2",
        "s=a b",
        "s=",
        "=s",
        "session=a=b",
        'session="q;"',
        's="; session=2"',
        "session~admin=3",
        "a=b=c",
        "\tsession=t\t",
        "session=n\n",
        "\nsession=m",
        "session=\xc3\xa9",
        "s(=4",
        "",
        " ",
        '"',
    ]
)
cookies = st.lists(pieces | st.text("s=; \t\"'\\a", max_size=9), max_size=5).flatmap(
    lambda some: st.sampled_from(["; ", ";", " ;"]).map(lambda between: between.join(some))
)


@given(cookies | st.none(), names)
@example("session=1; session=2", "session")
@example("session=a\x0bb", "session")
def test_the_cookie_is_that_of_the_request(cookie: str | None, name: str) -> None:
    """Also if there are several, or the field is malformed."""
    expected = make_request(cookie).cookies.get(name)
    assert read_cookie(make_request(cookie), name) == expected
    request = make_request(cookie)
    assert request.headers is not None
    assert read_cookie(request, name) == expected


def test_cookies_of_the_program_s_own_count() -> None:
    """On the class, on the object, and in headers that it has put there."""

    class Own(Request):
        cookies = ImmutableMultiDict({"s": "own"})  # type: ignore[assignment]  # of a program

    assert read_cookie(make_request("s=1", Own), "s") == "own"
    request = make_request("s=1")
    request.cookies = ImmutableMultiDict({"s": "own"})  # type: ignore[misc]  # as above
    assert read_cookie(request, "s") == "own"
    for headers in (Headers({"Cookie": "s=own"}), EnvironHeaders({"HTTP_COOKIE": "s=own"})):
        request = make_request("s=1")
        request.headers = headers
        assert read_cookie(request, "s") == "own"


def test_what_replaces_the_cookies_of_all_requests_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracing tool may, or a test."""
    monkeypatch.setattr(Request, "cookies", property(lambda request: {"s": "own"}))
    assert read_cookie(make_request("s=1"), "s") == "own"


flags = st.booleans() | st.sampled_from([None, 1, 0, "yes"])
attributes = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["session", "session~admin", "é", "a=b", "x; Expires=@"]),
        "domain": st.sampled_from([None, "", "example.org", ".example.org:80", "bücher.example"]),
        "path": st.sampled_from([None, "", "/", "/a b;c", "/; Expires=@"]),
        "secure": flags,
        "partitioned": st.booleans(),
        "samesite": st.sampled_from([None, "lax", "Strict", "None", "wrong"]),
        "httponly": flags,
    }
)
moments = st.none() | st.datetimes(allow_imaginary=False)
ends = moments | moments.map(lambda moment: moment and moment.replace(tzinfo=UTC))


def fields(response: WerkzeugResponse, call: Any) -> Any:
    """Return the fields and warnings after a call, or its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call(response)
        except ValueError as error:
            return type(error), str(error)
    return [*response.headers], [str(each.message) for each in caught]


@given(attributes, ends, st.sampled_from(["a.b.c", "x" * 5000]))
def test_the_cookie_that_is_set_is_werkzeug_s(
    cookie: dict[str, Any], expires: datetime | None, value: str
) -> None:
    """With the same warning if it is too large."""
    expected = fields(
        Response(), lambda one: one.set_cookie(value=value, expires=expires, **cookie)
    )
    for _ in range(2):
        found = fields(Response(), lambda one: add_cookie(one, SIGNING, value, expires, cookie))
        assert found == expected


@pytest.mark.parametrize("where", ["class", "object", "werkzeug"])
def test_a_response_of_the_program_sets_its_cookies_itself(where: str) -> None:
    """Its method may do something else."""
    seen: list[Any] = []

    def set_cookie(*args: Any, **kwargs: Any) -> None:
        seen.append(kwargs["value"])

    own: Any = type("Own", (Response,), {"set_cookie": set_cookie} if where == "class" else {})()
    if where == "object":
        own.set_cookie = set_cookie
    elif where == "werkzeug":
        own = WerkzeugResponse()
    add_cookie(own, SIGNING, "a.b.c", None, {"key": "s"})
    assert seen == ([] if where == "werkzeug" else ["a.b.c"])
    assert own.headers.getlist("Set-Cookie") == (["s=a.b.c; Path=/"] if not seen else [])


def test_a_value_that_others_have_signed_is_quoted() -> None:
    """Its characters may be any."""
    response = Response()
    add_cookie(response, object(), 'a"; b', None, {"key": "s"})
    assert response.headers["Set-Cookie"] == r's="a\"\073 b"; Path=/'


@given(
    st.lists(
        st.sampled_from(
            [
                ("Vary", "Cookie"),
                ("vary", "cookie"),
                ("Vary", "*"),
                ("VARY", "Accept, Cookie"),
                ("Vary", ""),
                ("Vary", "Accept"),
                ("X", "Vary"),
                ("Vary", '"Cookie"'),
            ]
        ),
        max_size=3,
    )
)
def test_a_response_varies_as_werkzeug_s_does(headers: list[tuple[str, str]]) -> None:
    """Whatever it has said already; and a second time changes nothing."""
    one, other = Response(headers=headers), Response(headers=headers)
    for _ in range(2):
        vary_by_cookie(one)
        other.vary.add("Cookie")
        assert [*one.headers] == [*other.headers]


def test_a_response_of_the_program_varies_itself() -> None:
    """Its set may do something else."""
    own: Any = type("Own", (Response,), {"vary": set()})()
    vary_by_cookie(own)
    assert own.vary == {"Cookie"}
    assert "Vary" not in own.headers
