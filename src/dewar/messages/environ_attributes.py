"""Attributes of a request that are worked out of its environ at first use.

PERF: Werkzeug works most of them out in the constructor, which takes longer than everything else
that happens to a request that only looks at one.
"""

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.wrappers import Request as WerkzeugRequest

from dewar.messages.environ_headers import EnvironHeaders
from dewar.messages.multi_dict import ImmutableMultiDict

# PERF: not through `__dict__`, which is an object of its own from then on.
_keep = object.__setattr__


class FromEnviron:
    """An attribute that is worked out by a function of the environ.

    Args:
        work_out: The function.
    """

    __slots__ = ("_name", "_work_out")

    def __init__(self, work_out: Callable[[WSGIEnvironment], object]) -> None:
        self._work_out = work_out

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, request: WerkzeugRequest | None, owner: type) -> Any:
        if request is None:
            return self
        value = self._work_out(request.environ)
        _keep(request, self._name, value)
        return value


def decoded(value: str) -> str:
    """Return the text of an environ's string, which carries bytes as latin-1 (PEP 3333)."""
    return value if value.isascii() else value.encode("latin-1").decode(errors="replace")


def server_in(environ: WSGIEnvironment) -> tuple[str, int | None] | None:
    """Return the name and the port of the server, as far as it says them."""
    name = environ.get("SERVER_NAME")
    if name is None:
        return None
    try:
        return name, int(environ["SERVER_PORT"])
    except (KeyError, TypeError, ValueError):
        return name, None  # a UNIX socket has no port


_decode_args = WerkzeugRequest.args.fget  # type: ignore[attr-defined]  # a kind of property


class Args:
    """The query string, parsed at first use and then kept on the request.

    PERF: a query string with nothing to decode takes half the time here; whatever has to be
    decoded is Werkzeug's to parse. A property test holds the two equal.
    """

    __slots__ = ()

    def __get__(self, request: WerkzeugRequest | None, owner: type) -> Any:
        if request is None:
            return self
        query = request.environ.get("QUERY_STRING", "")
        is_plain = "%" not in query and "+" not in query and query.isascii()
        if is_plain and request.parameter_storage_class is ImmutableMultiDict:
            args = ImmutableMultiDict.of_text(query, "&")
        else:
            args = _decode_args(request)
        _keep(request, "args", args)
        return args


_decode_cookies = WerkzeugRequest.cookies.fget  # type: ignore[attr-defined]  # as above


class Cookies:
    """The cookies, parsed at first use and then kept on the request.

    PERF: as with the query string, what is plain is not Werkzeug's to parse.
    """

    __slots__ = ()

    def __get__(self, request: WerkzeugRequest | None, owner: type) -> Any:
        if request is None:
            return self
        headers = request.headers  # which a program may replace
        if type(headers) is EnvironHeaders:
            text = headers.environ.get("HTTP_COOKIE", "").replace("; ", ";")
        else:
            text = '"'
        is_plain = text.isascii() and not (" " in text or '"' in text or "\t" in text)
        if is_plain and request.dict_storage_class is ImmutableMultiDict:
            cookies = ImmutableMultiDict.of_text(text, ";")
            dict.pop(cookies, "", None)  # a value without a name is no cookie
        else:
            cookies = _decode_cookies(request)
        _keep(request, "cookies", cookies)
        return cookies
