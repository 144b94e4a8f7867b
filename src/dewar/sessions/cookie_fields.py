"""The header fields that a session adds to the response: its cookie, and ``Vary``.

PERF: Werkzeug composes a cookie from all its parts, and parses ``Vary`` for each value that is
added. Here are the usual cases; all others are left to it. Property tests hold them equal.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from werkzeug.http import dump_cookie, http_date
from werkzeug.sansio.response import Response

from dewar.messages.response import Response as AppResponse
from dewar.sessions.signing import SigningSerializer

# How many combinations of names and attributes are composed ahead.
_COMPOSED = 64
# As they are at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_SET_COOKIE, _VARY = AppResponse.set_cookie, AppResponse.vary

_ODD_IN_NAMES = re.compile(r'[^!-~]|[=";]')
_PLAIN_TYPES = frozenset({str, bool, type(None)})
# Stands for what differs from cookie to cookie.
_PLACEHOLDER = "@"


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
