"""`JSONProvider`: reads and writes the JSON of an app.

PERF: `json.dumps` creates an encoder whenever it gets an option, and each encoder creates a
compiled one for every call. `DefaultJSONProvider` keeps a prepared encoder for each of three
layouts (spaced, compact, indented), and replaces them only when one of its settings changes. A
small dict takes 0.7 µs instead of 2.1: see ``/json`` in ``python -m bench --only request``.
"""

import json
import weakref
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import date
from decimal import Decimal
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import IO, Any, AnyStr, Protocol
from uuid import UUID

from werkzeug.http import http_date
from werkzeug.sansio.response import Response

from dewar.json.errors import NotSerializableError, ResponseArgumentsError

# None if the interpreter has no compiled encoder.
_c_make_encoder: Callable[..., Any] | None = getattr(json.encoder, "c_make_encoder", None)

# What `json.loads` uses without options. Threads may share it, as they share that of `json`.
_decode = json.JSONDecoder().raw_decode
_OPENINGS, _SPACE = frozenset({b"{", b"["}), " \t\n\r"

# The three prepared layouts, as arguments of `json.dumps`.
_SPACED: dict[str, Any] = {}
_COMPACT: dict[str, Any] = {"separators": (",", ":")}
_INDENTED: dict[str, Any] = {"indent": 2}


class JSONApp(Protocol):
    """What a provider needs from its app."""

    @property
    def debug(self) -> bool:
        """Whether debug mode is on, in which responses are indented."""

    @property
    def response_class(self) -> type[Any]:
        """The class that creates a response from a body and a ``mimetype``."""


def to_jsonable(value: Any) -> Any:
    """Return `value` in a form that `json` can write.

    Dates become HTTP dates, `~decimal.Decimal` and `~uuid.UUID` become strings, dataclasses
    become dicts, and an object with an ``__html__`` method becomes its markup.

    Raises:
        NotSerializableError: For any other type. It is a `TypeError`.
    """
    if isinstance(value, date):
        return http_date(value)
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "__html__"):
        return str(value.__html__())
    raise NotSerializableError(value)


class JSONProvider:
    """Reads and writes JSON for an app. Subclass it to use another JSON library.

    A subclass defines `dumps` and `loads`; all other methods call these. To use it, set
    ``app.json = MyProvider(app)``, or ``json_provider_class`` on an app class.

    Args:
        app: The app. The provider only keeps a weak reference, because the app owns it.
    """

    def __init__(self, app: JSONApp) -> None:
        self._app: JSONApp = weakref.proxy(app)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text. The JSON library defines the meaning of `kwargs`."""
        raise NotImplementedError(_unwritten(self, "dumps(self, obj, **kwargs)"))

    def dump(self, obj: Any, fp: IO[str], **kwargs: Any) -> None:
        """Write `obj` as JSON to a text file, preferably encoded as UTF-8."""
        fp.write(self.dumps(obj, **kwargs))

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value parsed from JSON text, or from UTF-8 bytes."""
        raise NotImplementedError(_unwritten(self, "loads(self, s, **kwargs)"))

    def load(self, fp: IO[AnyStr], **kwargs: Any) -> Any:
        """Return the value parsed from a JSON file, which is open for text or for bytes."""
        return self.loads(fp.read(), **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a response with the arguments as its JSON body.

        A single argument is the body. Several form a list, keyword arguments form a dict, and
        no arguments give ``null``.

        Raises:
            ResponseArgumentsError: For positional together with keyword arguments. It is a
                `TypeError`.
        """
        body = self.dumps(self._prepare_response_obj(args, kwargs))
        response: Response = self._app.response_class(body, mimetype="application/json")
        return response

    # This is Flask's name. Extensions call it from their own `response`.
    def _prepare_response_obj(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args and kwargs:
            # NOTE: programs compare this text with `==`, so it must be exactly Flask's.
            raise ResponseArgumentsError(
                "app.json.response() takes either args or kwargs, not both"
            )
        if len(args) == 1:
            return args[0]
        return args or kwargs or None


class _Encoders:
    """An encoder for each layout, for one set of settings. It is never changed."""

    __slots__ = ("compact", "indented", "settings", "spaced")

    def __init__(self, settings: tuple[Any, ...]) -> None:
        default, ensure_ascii, sort_keys = self.settings = settings

        def encoder(layout: dict[str, Any]) -> json.JSONEncoder:
            return json.JSONEncoder(
                default=default, ensure_ascii=ensure_ascii, sort_keys=sort_keys, **layout
            )

        self.spaced = _prepare(encoder(_SPACED))
        self.compact = _prepare(encoder(_COMPACT))
        self.indented = encoder(_INDENTED).encode


def _prepare(encoder: json.JSONEncoder) -> Callable[[Any], str]:
    """Return `encoder.encode`, with the compiled encoder created only once, if Python has one.

    Threads share the compiled encoder, so it cannot keep track of the objects it is inside of.
    An object that contains itself causes a RecursionError. The plain encoder then reports it.
    """
    if _c_make_encoder is None:
        return encoder.encode
    compiled = _c_make_encoder(
        None,
        encoder.default,
        encode_basestring_ascii if encoder.ensure_ascii else encode_basestring,
        None,
        encoder.key_separator,
        encoder.item_separator,
        encoder.sort_keys,
        encoder.skipkeys,
        encoder.allow_nan,
    )

    def encode(obj: Any) -> str:
        try:
            return "".join(compiled(obj, 0))
        except RecursionError:
            return encoder.encode(obj)

    return encode


class DefaultJSONProvider(JSONProvider):
    """Reads and writes JSON with the standard library, and supports a few more types.

    The attributes can be set on an app's provider at any time:

    - ``default``: called for a value that `json` cannot write; `to_jsonable` by default.
    - ``ensure_ascii``: escape all characters that are not ASCII; true by default.
    - ``sort_keys``: sort the keys, so that equal data gives equal text; true by default. All
      keys of a dict must then have the same type.
    - ``compact``: whether `response` writes on one line; None, the default, indents in debug
      mode only.
    - ``mimetype``: the content type of `response`.
    """

    default: Callable[[Any], Any] = staticmethod(to_jsonable)
    ensure_ascii = True
    sort_keys = True
    compact: bool | None = None
    mimetype = "application/json"
    _dewar_encoders: _Encoders | None = None

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return `obj` as JSON text. `kwargs` go to `json.dumps` and override the attributes.

        Raises:
            TypeError: For a value that `default` cannot convert, or keys that cannot be sorted.
            ValueError: For an object that contains itself.
        """
        encoders = self._dewar_encoders
        settings = (self.default, self.ensure_ascii, self.sort_keys)
        if encoders is None or encoders.settings != settings:
            encoders = self._dewar_encoders = _Encoders(settings)
        if not kwargs:
            return encoders.spaced(obj)
        if kwargs == _COMPACT:
            return encoders.compact(obj)
        if kwargs == _INDENTED:
            return encoders.indented(obj)
        default, ensure_ascii, sort_keys = settings
        kwargs.setdefault("default", default)
        kwargs.setdefault("ensure_ascii", ensure_ascii)
        kwargs.setdefault("sort_keys", sort_keys)
        return json.dumps(obj, **kwargs)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value parsed from JSON text or bytes. `kwargs` go to `json.loads`."""
        # PERF: what begins so is UTF-8 (RFC 8259 §8.1) if no zero byte follows, so that nothing has
        # to be detected. It takes half the time.
        if not kwargs and type(s) is bytes and s[:1] in _OPENINGS and s[1:2] != b"\0":
            text = s.decode("utf-8", "surrogatepass")
            value, end = _decode(text)
            if end == len(text) or not text[end:].strip(_SPACE):
                return value
        return json.loads(s, **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a response with the arguments as its JSON body: on one line, or indented.

        The arguments are those of `JSONProvider.response`.
        """
        body = render(self, self._prepare_response_obj(args, kwargs))
        response: Response = self._app.response_class(body, mimetype=self.mimetype)
        return response

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.mimetype}>"


def render(provider: DefaultJSONProvider, obj: Any) -> str:
    """Return the body of `provider.response(obj)`: on one line, or indented."""
    compact = provider.compact
    if compact is False or (compact is None and provider._app.debug):  # noqa: SLF001  # its class is here
        return provider.dumps(obj, indent=2) + "\n"
    return provider.dumps(obj, separators=(",", ":")) + "\n"


def _unwritten(provider: JSONProvider, signature: str) -> str:
    return (
        f"{type(provider).__name__} is incomplete: a subclass of JSONProvider must define"
        f" def {signature}."
    )
