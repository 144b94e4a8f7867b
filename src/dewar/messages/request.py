"""`Request`: Werkzeug's request, whose parts are made when they are first used."""

from typing import IO, Any, TypeVar, cast
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Rule
from werkzeug.utils import cached_property
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wsgi import LimitedStream

from dewar import json
from dewar.messages import request_body as bodies
from dewar.messages.environ_attributes import (
    Args,
    Cookies,
    FromEnviron,
    decoded,
    method_in,
    plain_args_in,
    plain_cookies_in,
    server_in,
)
from dewar.messages.environ_headers import EnvironHeaders
from dewar.messages.errors import DebugFilesKeyError
from dewar.messages.multi_dict import ImmutableMultiDict

T = TypeVar("T")


class Request(WerkzeugRequest):
    """The request that the client sent, with what routing found out about it.

    Everything Werkzeug's request offers is here; each attribute is worked out when it is first
    read. In views use the proxy `dewar.request`.

    Args:
        environ: The WSGI environ (PEP 3333).
        populate_request: Keep this object in ``environ["werkzeug.request"]``.
        shallow: Refuse to read the body.
    """

    json_module: Any = json

    #: The rule that matched, or None.
    url_rule: Rule | None = None
    #: The values of the rule's variables, or None if no rule matched.
    view_args: dict[str, Any] | None = None
    #: The routing error, which is raised instead of calling a view.
    routing_exception: HTTPException | None = None

    # The app, for its limits and debug mode; None for a request made outside of any. Programs keep
    # what they want on the request, also as `app`.
    _dewar_app: bodies.RequestApp | None = None
    # What `read_stream` needs, if the body was read without a stream.
    _dewar_read: tuple[Any, int, bool, int] | None = None
    # Werkzeug asks for it as for an attribute that may be missing.
    _cached_data: bytes | None = None  # type: ignore[assignment]  # None: it was not read

    scheme = FromEnviron(lambda environ: environ.get("wsgi.url_scheme", "http"))
    server = FromEnviron(server_in)
    root_path = FromEnviron(lambda environ: decoded(environ.get("SCRIPT_NAME") or "").rstrip("/"))
    path = FromEnviron(lambda environ: "/" + decoded(environ.get("PATH_INFO") or "").lstrip("/"))
    query_string = FromEnviron(lambda environ: environ.get("QUERY_STRING", "").encode("latin-1"))
    headers = FromEnviron(EnvironHeaders)
    remote_addr = FromEnviron(lambda environ: environ.get("REMOTE_ADDR"))

    args = Args(plain_args_in)
    cookies = Cookies(plain_cookies_in)
    form = bodies.FormPart()
    files = bodies.FormPart()

    parameter_storage_class = ImmutableMultiDict
    dict_storage_class = ImmutableMultiDict

    max_content_length = bodies.ContentLimit("MAX_CONTENT_LENGTH")
    max_form_memory_size = bodies.Limit("MAX_FORM_MEMORY_SIZE")
    max_form_parts = bodies.Limit("MAX_FORM_PARTS")  # type: ignore[assignment]  # None: no limit

    def __init__(
        self,
        environ: WSGIEnvironment,
        populate_request: bool = True,
        shallow: bool = False,
    ) -> None:
        # Not super().__init__(): it works out everything at once, see FromEnviron.
        self.environ = environ
        self.shallow = shallow
        # PERF: not at first use, because that takes longer.
        self.method = method_in(environ)
        if populate_request and not shallow:
            environ["werkzeug.request"] = self

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body as a file, up to `max_content_length`; reading on raises a 413."""
        if self._dewar_read is not None:
            return cast("IO[bytes]", bodies.read_stream(*self._dewar_read))
        stream: Any = super().stream
        if type(stream) is LimitedStream and "wsgi.input_terminated" in self.environ:
            # The limit is that of the app: the server ends the body itself.
            limit, body = stream.limit, self.environ["wsgi.input"]
            stream = bodies.LimitedBody(body, limit, is_max=True)
        return cast("IO[bytes]", stream)

    @property
    def mimetype(self) -> str:
        """The type of the body in lower case, without its parameters."""
        return self._dewar_plain_type() or super().mimetype

    @property
    def endpoint(self) -> str | None:
        """The endpoint that matched, or None."""
        rule = self.url_rule
        return None if rule is None else rule.endpoint

    @property
    def blueprint(self) -> str | None:
        """The name of the blueprint of the endpoint, with dots if it is nested."""
        endpoint = self.endpoint
        if endpoint is None or "." not in endpoint:
            return None
        return endpoint.rpartition(".")[0]

    @property
    def blueprints(self) -> list[str]:
        """The names of the blueprint and its parents, the innermost first."""
        name = self.blueprint
        return [] if name is None else split_blueprint_path(name)

    def close(self) -> None:
        """Close the files that were uploaded."""
        # PERF: most requests have none, and looking through none of them takes its time too.
        if self.__dict__.get("files"):
            super().close()

    def get_data(
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> Any:
        """Return the body as bytes, or as text.

        Args:
            cache: Keep it, so that it can be had again, and parsed as a form.
            as_text: Decode it as UTF-8; what is none is replaced.
            parse_form_data: Parse a form first; then nothing is left of it.
        """
        data = self._cached_data
        if data is None:
            if parse_form_data:
                self._load_form_data()
            is_plain = self._dewar_plain_type() is not None
            data = bodies.maybe_read(self, self._dewar_app) if is_plain else None
            if data is None:
                data = super().get_data(cache)
            elif cache:
                self._cached_data = data
        return data.decode(errors="replace") if as_text else data

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """Return the value of a body in JSON.

        Args:
            force: Whatever its content type is.
            silent: Return None instead of an error.
            cache: Keep the value and the body, so that they can be had again.

        Raises:
            BadRequest: It is no JSON.
            UnsupportedMediaType: Its content type is another one.
        """
        if cache and self._cached_json[silent] is not ...:
            return self._cached_json[silent]
        kind = self._dewar_plain_type()
        is_json = kind is not None and (force or kind == bodies.JSON or self.is_json)
        data = bodies.maybe_read(self, self._dewar_app) if is_json else None
        if data is None:
            return super().get_json(force, silent, cache)
        if cache:
            self._cached_data = data
        try:
            value = self.json_module.loads(data)
        except ValueError as error:
            value = None if silent else self.on_json_loading_failed(error)
            kept = self._cached_json
            kept = (kept[0], value) if silent else (value, kept[1])
        else:
            kept = (value, value)
        if cache:
            self._cached_json = kept
        return value

    def _load_form_data(self) -> None:
        if not self._dewar_try_load_form():
            super()._load_form_data()
        app = self._dewar_app
        if app is not None and app.debug and self.mimetype != "multipart/form-data":
            self.__dict__.setdefault("files", ImmutableMultiDict())
            _explain_missing_files(self)

    def _dewar_try_load_form(self) -> bool:
        """Load a plain form, or that of a body that is none; return whether it was one of them."""
        kind, own = self._dewar_plain_type(), self.__dict__
        if kind == bodies.FORM:
            body = bodies.maybe_read(self, self._dewar_app, is_form=True)
            if body is None:
                return False
            own["form"] = bodies.parse_form(body)
        elif kind == bodies.JSON:
            own["stream"], own["form"] = self.stream, ImmutableMultiDict()
        return kind in (bodies.FORM, bodies.JSON)

    def _dewar_plain_type(self) -> str | None:
        """Return the type of a body that may be read by the shortest way; "" if it is not usual.

        None if something of it was read, or code of the program may take part in reading it.
        """
        app, own = self._dewar_app, self.__dict__
        if (
            app is None
            or type(self) is not app._dewar_composition.plain_request_class
            or not _OWN.isdisjoint(own)
        ):
            return None
        environ, headers = self.environ, own.get("headers")
        if headers is not None and (
            type(headers) is not EnvironHeaders or headers.environ is not environ
        ):
            return None  # of the program
        parsed = own.get("_parsed_content_type")
        if parsed is not None:
            kind: str = parsed[0]
            return kind.lower()
        plain = bodies.PLAIN_TYPES.get(environ.get("CONTENT_TYPE"))
        if plain is None:
            return ""
        kind, parameters = plain
        own["_parsed_content_type"] = kind, {**parameters}  # what Werkzeug keeps
        return kind

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Answer 400 or 415; in debug mode the answer says what was wrong with the JSON."""
        try:
            return super().on_json_loading_failed(e)
        except BadRequest as error:
            if self._dewar_app is not None and self._dewar_app.debug:
                raise
            raise BadRequest from error


def split_blueprint_path(name: str) -> list[str]:
    """Return a dotted blueprint name and those of its parents, the innermost first."""
    names = [name]
    while "." in name:
        name = name.rpartition(".")[0]
        names.append(name)
    return names


def _explain_missing_files(request: Request) -> None:
    """Make ``request.files[key]`` say why a file is missing that came as plain text."""
    if request.files:
        return
    plain = type(request.files)

    class ExplainedFiles(plain):  # type: ignore[misc, valid-type]  # the class is the request's own
        def __getitem__(self, key: str) -> Any:
            try:
                return super().__getitem__(key)
            except KeyError:
                if key not in request.form:
                    raise
                raise DebugFilesKeyError(request, key) from None

    request.files = ExplainedFiles(request.files)


# What takes part in reading and parsing a body. A program may have its own of each of them.
_MEMBERS = (
    "__getattribute__", "_get_stream_for_parsing", "environ", "form_data_parser_class", "get_data",
    "headers", "is_json", "make_form_data_parser", "max_content_length",
    "max_form_memory_size", "mimetype", "parameter_storage_class", "stream",
    "want_form_data_parsed",
)  # fmt: skip
# Those that a program may set on a request, and what is set on one whose body was read.
_OWN = frozenset(
    {*_MEMBERS, "_cached_data", "_dewar_read", "form"}
    - {"environ", "headers", "max_content_length", "max_form_memory_size"}
)
# As they are at import, for the reason in `dewar.pipeline.composition.stock_methods`.
_STOCK = tuple(getattr(Request, name, None) for name in _MEMBERS)


def reads_plainly(request_class: type) -> bool:
    """Whether a class of requests has nothing of its own that takes part in reading a body."""
    return tuple(getattr(request_class, name, None) for name in _MEMBERS) == _STOCK
