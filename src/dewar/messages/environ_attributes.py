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

WorkOut = Callable[[WSGIEnvironment], Any]

# PERF: not through `__dict__`, which is an object of its own from then on.
_keep = object.__setattr__


class FromEnviron:
    """An attribute that is worked out by a function of the environ.

    Args:
        work_out: The function.
    """

    __slots__ = ("_name", "work_out")

    def __init__(self, work_out: WorkOut) -> None:
        self.work_out = work_out

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, request: WerkzeugRequest | None, owner: type) -> Any:
        if request is None:
            return self
        value = self.work_out(request.environ)
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


def method_in(environ: WSGIEnvironment) -> str:
    """Return the method, in capitals."""
    method: str = environ.get("REQUEST_METHOD", "GET")
    # PERF: mostly it is the environ's own object.
    return method if method.isupper() else method.upper()


def plain_args_in(environ: WSGIEnvironment) -> ImmutableMultiDict | None:
    """Return the parsed query string, or None if something in it has to be decoded."""
    query = environ.get("QUERY_STRING", "")
    is_plain = "%" not in query and "+" not in query and query.isascii()
    return ImmutableMultiDict.of_text(query, "&") if is_plain else None


def plain_cookies_in(environ: WSGIEnvironment) -> ImmutableMultiDict | None:
    """Return the cookies, or None if something in them has to be decoded."""
    text = environ.get("HTTP_COOKIE", "").replace("; ", ";")
    if not text.isascii() or " " in text or '"' in text or "\t" in text:
        return None
    cookies = ImmutableMultiDict.of_text(text, ";")
    dict.pop(cookies, "", None)  # a value without a name is no cookie
    return cookies


_decode_args = WerkzeugRequest.args.fget  # type: ignore[attr-defined]  # a kind of property
_decode_cookies = WerkzeugRequest.cookies.fget  # type: ignore[attr-defined]  # as above


class Args(FromEnviron):
    """The query string, parsed at first use and then kept on the request.

    PERF: a query string with nothing to decode takes half the time here; whatever has to be
    decoded is Werkzeug's to parse. A property test holds the two equal.
    """

    __slots__ = ()

    def __get__(self, request: WerkzeugRequest | None, owner: type) -> Any:
        if request is None:
            return self
        args = None
        if request.parameter_storage_class is ImmutableMultiDict:
            args = plain_args_in(request.environ)
        if args is None:
            args = _decode_args(request)
        _keep(request, "args", args)
        return args


class Cookies(FromEnviron):
    """The cookies, parsed at first use and then kept on the request.

    PERF: as with the query string, what is plain is not Werkzeug's to parse.
    """

    __slots__ = ()

    def __get__(self, request: WerkzeugRequest | None, owner: type) -> Any:
        if request is None:
            return self
        headers, cookies = request.headers, None  # which a program may replace
        if type(headers) is EnvironHeaders and request.dict_storage_class is ImmutableMultiDict:
            cookies = plain_cookies_in(headers.environ)
        if cookies is None:
            cookies = _decode_cookies(request)
        _keep(request, "cookies", cookies)
        return cookies


def early_attributes(cls: Any) -> dict[str, WorkOut]:
    """Return by name what works out an attribute of a request that has no object yet.

    PERF: many views ask for no more, and need none. A function returns None if it takes the object.

    Args:
        cls: The class of the object. Its constructor is that of `dewar.Request`.
    """
    found: dict[str, WorkOut] = {"method": method_in}
    for base in cls.__mro__:
        for name, attribute in vars(base).items():
            # What a subclass has in its place is asked itself.
            if isinstance(attribute, FromEnviron) and getattr(cls, name) is attribute:
                found[name] = attribute.work_out
    if cls.parameter_storage_class is not ImmutableMultiDict:
        found.pop("args", None)
    if cls.dict_storage_class is not ImmutableMultiDict:
        found.pop("cookies", None)
    return found
