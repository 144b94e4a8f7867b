"""The header fields of a session: its cookie in the request and in the response, and ``Vary``.

PERF: Werkzeug parses all cookies, composes a cookie from all its parts, and parses ``Vary`` for
each value that is added. Here are the usual cases; all others are left to it. Property tests hold
them equal.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.datastructures import EnvironHeaders
from werkzeug.http import dump_cookie, http_date
from werkzeug.sansio.response import Response

from dewar.messages.request import Request
from dewar.messages.response import Response as AppResponse
from dewar.sessions.signing import SigningSerializer

# How many combinations of names and attributes are composed ahead.
_COMPOSED = 64
# As they are at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_COOKIES, _HEADERS = Request.cookies, Request.headers
_SET_COOKIE, _VARY = AppResponse.set_cookie, AppResponse.vary

_ODD_IN_NAMES = re.compile(r'[^!-~]|[=";]')
_PLAIN_TYPES = frozenset({str, bool, type(None)})
# Stands for what differs from cookie to cookie.
_PLACEHOLDER = "@"


def read_cookie(request: Any, name: str) -> str | None:
    """Return what ``request.cookies.get(name)`` returns."""
    header = _header_of(request)
    # The encoding may be wrong, and what is in quotes may look like a cookie.
    if header is None or not header.isascii() or '"' in header:
        value: str | None = request.cookies.get(name)
        return value
    if name not in header:
        return None
    found = _pattern(name).search(header)
    return None if found is None else found[1] or ""


def _header_of(request: Any) -> str | None:
    """Return the field that the cookies of a request come from; None if they may be others."""
    if (
        type(request) is not Request
        or "cookies" in request.__dict__
        or Request.cookies is not _COOKIES
        or Request.headers is not _HEADERS
    ):
        return None
    headers = request.__dict__.get("headers")
    if headers is not None and type(headers) is not EnvironHeaders:
        return None
    environ: WSGIEnvironment = request.environ if headers is None else headers.environ
    header: str = environ.get("HTTP_COOKIE", "")
    return header


@lru_cache(_COMPOSED)
def _pattern(name: str) -> re.Pattern[str]:
    """Return a pattern for the first cookie with a name, in a header without quotes."""
    if not name or _ODD_IN_NAMES.search(name):
        return re.compile("(?!)")  # no cookie has such a name
    spaces = "[ \t]*"
    return re.compile(
        f"(?:^|;){spaces}{re.escape(name)}(?:{spaces}={spaces}([^ \t;]*))?{spaces}(?:;|\\Z)"
    )


def add_cookie(
    response: Response,
    signing: object,
    value: str,
    expires: datetime | None,
    cookie: dict[str, Any],
) -> None:
    """Do what ``response.set_cookie(value=value, expires=expires, **cookie)`` does.

    Args:
        response: The response.
        signing: What has signed the value.
        value: The value.
        expires: When the cookie ends.
        cookie: The name of the cookie, as `key`, and its attributes.
    """
    is_usual = (
        # So the value has no character that would have to be quoted.
        type(signing) is SigningSerializer
        and type(response).set_cookie is _SET_COOKIE
        and "set_cookie" not in response.__dict__
        and (expires is None or type(expires) is datetime)
        and _PLAIN_TYPES.issuperset(map(type, cookie.values()))
    )
    if is_usual:
        start, middle, end = _compose(**cookie)
        if expires is not None:
            middle += f"; Expires={_write_date(expires.replace(microsecond=0))}"
        text = f"{start}{value}{middle}{end}"
        max_size = response.max_cookie_size
        if not max_size or len(text) <= max_size:
            response.headers.add("Set-Cookie", text)
            return
    response.set_cookie(value=value, expires=expires, **cookie)


@lru_cache(_COMPOSED)
def _compose(key: str, **attributes: Any) -> tuple[str, str, str]:
    """Return what goes before the value of a cookie, before its ``Expires``, and after that."""
    text = dump_cookie(key, expires=_PLACEHOLDER, max_size=0, **attributes)
    before, _, end = text.rpartition(f"; Expires={_PLACEHOLDER}")
    size = len(key.encode()) + len("=")
    return before[:size], before[size:], end


@lru_cache(_COMPOSED)
def _write_date(moment: datetime) -> str:
    return http_date(moment)


def vary_by_cookie(response: Response) -> None:
    """Do what ``response.vary.add("Cookie")`` does."""
    varies = [value for name, value in response.headers if name.lower() == "vary"]
    if type(response).vary is not _VARY or (varies and varies[0] != "Cookie"):
        response.vary.add("Cookie")
    elif not varies:
        response.headers.add("Vary", "Cookie")
