"""The body of a request: its limits, and the shortest way to read and parse it.

PERF: Werkzeug makes a limited stream of a body in memory, reads it piece by piece, and makes a
parser of forms. That takes longer than all else that happens to a small request. What is not plain
is Werkzeug's to read and to parse. A property test holds both ways equal.
"""

from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType
from typing import Any, Protocol, overload
from urllib.parse import unquote

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wsgi import LimitedStream

from dewar.contexts.current import maybe_current
from dewar.messages.multi_dict import ImmutableMultiDict

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
_UTF_8 = ("; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8")
#: Each usual Content-Type as its type and parameters. Werkzeug parses all others.
PLAIN_TYPES: Mapping[Any, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {kind: (kind, MappingProxyType({})) for kind in (JSON, FORM)}
    | {
        kind + text: (kind, MappingProxyType({"charset": text.partition("=")[2]}))
        for kind in (JSON, FORM)
        for text in _UTF_8
    }
)
# As many digits as any body in memory has.
_DIGITS = 18
# What reads a file in memory. A program may have replaced it, also on a single file.
_METHODS = frozenset({"read", "readinto", "seek"})
# How Werkzeug decodes forms: what is no UTF-8 keeps its percent signs.
_ERRORS = "werkzeug.url_quote"


class RequestApp(Protocol):
    """The members of the app that a request uses."""

    debug: bool

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration, for the limits on forms and bodies."""

    @property
    def _dewar_composition(self) -> Any:
        """What has the `body_limits` that a server asks for."""


class LimitedRequest(Protocol):
    """The members of a request that its limits use."""

    _dewar_app: RequestApp | None

    @property
    def endpoint(self) -> str | None:
        """The endpoint that matched."""


class Limit:
    """A limit of the form parser: the request's own value, else the app's configuration."""

    __slots__ = ("_key", "_name")

    def __init__(self, key: str) -> None:
        self._key = key

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, request: None, owner: type) -> "Limit": ...
    @overload
    def __get__(self, request: "LimitedRequest", owner: type) -> int | None: ...
    def __get__(self, request: "LimitedRequest | None", owner: type) -> "Limit | int | None":
        if request is None:
            return self
        if self._name in request.__dict__:
            own: int | None = request.__dict__[self._name]
            return own
        app = request._dewar_app  # noqa: SLF001  # a part of the class
        if app is None:
            # It was not made by a context: use the current app.
            context = maybe_current()
            app = None if context is None else context.app
        limit: int | None = (
            getattr(WerkzeugRequest, self._name) if app is None else app.config[self._key]
        )
        return limit

    def __set__(self, request: "LimitedRequest", value: int | None) -> None:
        request.__dict__[self._name] = value


class ContentLimit(Limit):
    """The limit of the body. The app learns which endpoints take more than its configuration."""

    __slots__ = ()

    def __set__(self, request: "LimitedRequest", value: int | None) -> None:
        super().__set__(request, value)
        app = request._dewar_app  # noqa: SLF001  # as above
        endpoint = request.endpoint
        if app is not None and endpoint is not None and (value is None or isinstance(value, int)):
            app._dewar_composition.body_limits.note_raised(endpoint, value)


class LimitedBody(LimitedStream):
    """A body of unknown length with a limit; one that is longer is a 413, and never cut off.

    Werkzeug's takes a body that was read up to the limit for a whole one, and one of exactly that
    length, read on, for too long.
    """

    def on_exhausted(self) -> None:
        """Raise a 413 if there is more behind the limit."""
        if self._stream.read(1):
            raise RequestEntityTooLarge

    def readall(self) -> bytes:
        """Return all that is left."""
        data = super().readall()
        if data and self.is_exhausted:
            self.on_exhausted()
        return data


class FormPart:
    """The fields or the files of a form, loaded at first use and then kept on the request.

    PERF: Werkzeug's property takes as long as loading a small form, and makes both.
    """

    __slots__ = ("_name",)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, request: Any, owner: type) -> Any:
        if request is None:
            return self
        request._load_form_data()  # noqa: SLF001  # Werkzeug's name, which programs override
        own = request.__dict__
        if self._name not in own:
            own[self._name] = ImmutableMultiDict()
        return own[self._name]


def maybe_read(request: Any, app: Any, is_form: bool = False) -> bytes | None:
    """Return the whole body if it is in memory; None if Werkzeug has to read it, from its start.

    Nothing of it was read before. Afterwards `read_stream` makes the request's stream.

    Args:
        request: The request, of a class that `reads_plainly`.
        app: Its app.
        is_form: Whether it is a form, of which Werkzeug 3.1.8 has a limit of its own.
    """
    environ, own = request.environ, request.__dict__
    source, length = environ.get("wsgi.input"), environ.get("CONTENT_LENGTH") or ""
    if (
        not (length.isdigit() and length.isascii() and len(length) <= _DIGITS)
        or not (type(source) is BytesIO or _is_as_bytes_io(source))
        or not _METHODS.isdisjoint(source.__dict__)
        or source.closed
        or "HTTP_TRANSFER_ENCODING" in environ
        or request.shallow
    ):
        return None
    size = int(length)
    # PERF: as the descriptor `Limit` finds them, in a quarter of the time.
    limit = own.get("max_content_length", app.config["MAX_CONTENT_LENGTH"])
    if limit is not None and size > limit:
        return None
    if is_form:
        most = own.get("max_form_memory_size", app.config["MAX_FORM_MEMORY_SIZE"])
        if most is not None and size > most:
            return None
    if "wsgi.input_terminated" not in environ:
        data: bytes = source.read(size)
        is_whole = len(data) == size
        read = source, size, False, size
    elif limit is None:
        own["stream"] = source
        return source.read()  # type: ignore[no-any-return]  # it is a BytesIO
    else:
        data = source.read()
        is_whole = len(data) <= limit
        read = source, limit, True, len(data)
    if not is_whole:
        source.seek(-len(data), 1)
        return None
    own["_dewar_read"] = read
    return data


def read_stream(source: Any, limit: int, is_max: bool, size: int) -> LimitedStream:
    """Return the stream behind a body that `maybe_read` has read, as if it had been read by it."""
    stream = (LimitedBody if is_max else LimitedStream)(source, limit, is_max)
    stream._pos = size  # noqa: SLF001  # it has no public way to begin there
    return stream


def parse_form(body: bytes) -> ImmutableMultiDict:
    """Return the fields of a form; it is empty if the body is not UTF-8."""
    try:
        text = body.decode().replace("+", " ")
    except UnicodeDecodeError:
        text = ""
    if "%" not in text:
        return ImmutableMultiDict.of_text(text, "&")
    pieces = [piece.partition("=") for piece in text.split("&") if piece]
    return ImmutableMultiDict([(_decoded(name), _decoded(value)) for name, _, value in pieces])


def _decoded(text: str) -> str:
    return unquote(text, errors=_ERRORS)


def _is_as_bytes_io(source: Any) -> bool:
    """Whether the class of a ``wsgi.input`` is one of files in memory, with their methods."""
    kind = type(source)
    return isinstance(source, BytesIO) and all(
        getattr(kind, name) is getattr(BytesIO, name) for name in _METHODS
    )
