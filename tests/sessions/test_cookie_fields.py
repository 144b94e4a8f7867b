"""The fields of a session are those that Werkzeug reads and writes."""

import warnings
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.messages.response import Response
from dewar.sessions.cookie_fields import add_cookie, vary_by_cookie
from dewar.sessions.secure_cookie import lazy_sha1
from dewar.sessions.signing import make_signing

SIGNING = make_signing(("key",), "salt", "hmac", lazy_sha1, serializer=None, json=None)


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
