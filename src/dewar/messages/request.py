"""`Request`: Werkzeug's request, whose parts are made when they are first used."""

from collections.abc import Mapping
from typing import IO, Any, Protocol, TypeVar, cast, overload
from wsgiref.types import WSGIEnvironment

from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.routing import Rule
from werkzeug.utils import cached_property
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wsgi import LimitedStream

from dewar import json
from dewar.contexts.current import maybe_current
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


class RequestApp(Protocol):
    """The members of the app that a request uses."""

    debug: bool

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration, for the limits on forms and bodies."""

    @property
    def _dewar_composition(self) -> Any:
        """What has the `body_limits` that a server asks for."""


class _Limit:
    """A limit of the form parser: the request's own value, else the app's configuration."""

    __slots__ = ("_key", "_name")

    def __init__(self, key: str) -> None:
        self._key = key

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, request: None, owner: type) -> "_Limit": ...
    @overload
    def __get__(self, request: "Request", owner: type) -> int | None: ...
    def __get__(self, request: "Request | None", owner: type) -> "_Limit | int | None":
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

    def __set__(self, request: "Request", value: int | None) -> None:
        request.__dict__[self._name] = value


class _BodyLimit(_Limit):
    """The limit of the body. The app learns which endpoints take more than its configuration."""

    __slots__ = ()

    def __set__(self, request: "Request", value: int | None) -> None:
        super().__set__(request, value)
        app = request._dewar_app  # noqa: SLF001  # as above
        endpoint = request.endpoint
        if app is not None and endpoint is not None and (value is None or isinstance(value, int)):
            app._dewar_composition.body_limits.note_raised(endpoint, value)


class _LimitedStream(LimitedStream):
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
    _dewar_app: RequestApp | None = None

    scheme = FromEnviron(lambda environ: environ.get("wsgi.url_scheme", "http"))
    server = FromEnviron(server_in)
    root_path = FromEnviron(lambda environ: decoded(environ.get("SCRIPT_NAME") or "").rstrip("/"))
    path = FromEnviron(lambda environ: "/" + decoded(environ.get("PATH_INFO") or "").lstrip("/"))
    query_string = FromEnviron(lambda environ: environ.get("QUERY_STRING", "").encode("latin-1"))
    headers = FromEnviron(EnvironHeaders)
    remote_addr = FromEnviron(lambda environ: environ.get("REMOTE_ADDR"))

    # Whether there may be some to close. Nothing else than `_load_form_data` makes them.
    _dewar_may_have_files = False

    args = Args(plain_args_in)
    cookies = Cookies(plain_cookies_in)

    parameter_storage_class = ImmutableMultiDict
    dict_storage_class = ImmutableMultiDict

    max_content_length = _BodyLimit("MAX_CONTENT_LENGTH")
    max_form_memory_size = _Limit("MAX_FORM_MEMORY_SIZE")
    max_form_parts = _Limit("MAX_FORM_PARTS")  # type: ignore[assignment]  # None: no limit

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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "_load_form_data" in vars(cls):
            cls._dewar_may_have_files = True

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body as a file, up to `max_content_length`; reading on raises a 413."""
        stream: Any = super().stream
        if type(stream) is LimitedStream and "wsgi.input_terminated" in self.environ:
            # The limit is that of the app: the server ends the body itself.
            limit, body = stream.limit, self.environ["wsgi.input"]
            stream = _LimitedStream(body, limit, is_max=True)
        return cast("IO[bytes]", stream)

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
        if self._dewar_may_have_files:
            super().close()

    def _load_form_data(self) -> None:
        self._dewar_may_have_files = True
        super()._load_form_data()
        app = self._dewar_app
        if app is not None and app.debug and self.mimetype != "multipart/form-data":
            _explain_missing_files(self)

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
