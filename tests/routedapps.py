"""Apps whose routing can fail anywhere, and requests for them, by random choice."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, ValidationError

import dewar
from suspendedtools import make_environ

TRUSTED = ["good.example", ".sub.example"]
# As an environ has them: "Ã©" is the UTF-8 of "é", which alone is not UTF-8.
PATHS = (
    "/", "/", "/deep/page", "/item/7", "/item/x", "/dir", "/dir/", "/page", "/bp/view", "/a/b/c",
    "/own/pen", "/own/gone", "/own/broken", "/own/invalid", "/own/pen/more", "/admin/users",
    # Not as a server of ours would give it.
    "", "item/7", "admin/users", "x/admin/users", "own/pen", "//admin/users", "///item/7", "*",
    "/item//7", "/admin//users", "/dir//", "//", "/Ã©", "/é", "/a\0b", "/a\nb", "/a%2Fb", "/..",
)  # fmt: skip
HOSTS = (
    "good.example", "good.example", "evil.example", "a.sub.example", "GOOD.example", "", None,
    "good.example:80", "good.example:8080", "good.example:99999", "user@good.example", "a_b",
    "[::1]", "[::1]:80", "a..example", ".example", "good.example.", "bÃ¼cher.example", "é.example",
    "good.example,evil.example", "a" * 64, "xn--bcher-kva.example",
)  # fmt: skip


class FullLane(dewar.Dewar):
    """Overriding any stage sends every request through the full lane."""

    def dispatch_request(self) -> Any:
        """Do as the parent does."""
        return super().dispatch_request()


@dataclass(frozen=True)
class Asked:
    """What an app is asked."""

    path: str = "/"
    host: str | None = "good.example"
    method: str = "GET"
    script_name: str = ""

    def environ(self) -> dict[str, Any]:
        """Return the environ of the request."""
        more = {"HTTP_HOST": self.host, "HTTP_X_METHOD": "OPTIONS", "SCRIPT_NAME": self.script_name}
        environ = make_environ(self.method, self.path, **more)
        return {key: value for key, value in environ.items() if value is not None}

    def message(self) -> bytes:
        """Return the request as a client of HTTP sends it; HTTP/1.0 has no Host."""
        version = "HTTP/1.0" if self.host is None else f"HTTP/1.1\r\nHost: {self.host}"
        target = quote(self.path, encoding="latin-1")
        fields = "X-Method: OPTIONS\r\nConnection: close"
        return f"{self.method} {target} {version}\r\n{fields}\r\n\r\n".encode("latin-1")


@dataclass(frozen=True)
class Routed:
    """What an app is made of.

    Attributes:
        is_async: Whether its functions are coroutine functions.
        guards: Whether a hook refuses what is under ``/admin``.
        handles: Whether there are handlers for errors.
        trusted: Where the trusted hosts are: nowhere, ``"config"``, or ``"empty"`` there.
        server_name: The configuration's ``SERVER_NAME``.
        matching: Nothing, or ``"host"`` or ``"subdomain"``.
        request_class: What the class of requests has of its own.
        overrides: Whether `create_url_adapter` is the program's.
    """

    is_async: bool = False
    guards: bool = False
    handles: bool = False
    trusted: str = ""
    server_name: str | None = None
    matching: str = ""
    request_class: str = ""
    overrides: bool = False


def _some(*odd: Any, plain: Any = "") -> st.SearchStrategy[Any]:
    """Return a strategy for what is plain more often than not."""
    return st.sampled_from((plain,) * 2 * len(odd) + odd)


#: Apps; those without anything odd are drawn often, as they have a lane of their own.
routed_apps = st.builds(
    Routed,
    is_async=st.booleans(),
    guards=st.booleans(),
    handles=st.booleans(),
    trusted=_some("config", "empty"),
    server_name=_some("good.example", "good.example:8080", plain=None),
    matching=_some("host", "subdomain"),
    request_class=_some("trusted", "property", "constructor", "method", "json"),
    overrides=_some(True, plain=False),
)
#: Requests in whatever form an environ can have.
requests = st.builds(
    Asked,
    path=st.sampled_from(PATHS),
    host=st.sampled_from(HOSTS),
    method=st.sampled_from(("GET", "GET", "HEAD", "POST", "OPTIONS", "get", "options")),
    script_name=_some("/mounted", "/Ã©", "//"),
)


def build(framework: Any, app_class: Any, routed: Routed) -> Any:
    """Return the app, made of a framework."""
    app = _class(app_class, routed)(
        "lanes",
        static_folder=None,
        host_matching=routed.matching == "host",
        subdomain_matching=routed.matching == "subdomain",
    )
    app.logger.disabled = True
    app.config["SERVER_NAME"] = routed.server_name
    app.config["TRUSTED_HOSTS"] = {"": None, "config": TRUSTED, "empty": []}[routed.trusted]
    app.request_class = _request_class(framework, routed.request_class)
    app.url_map.converters["own"] = _converter(framework)
    _add_views(framework, app, routed)
    if routed.guards:
        app.before_request(_function(routed, lambda: _guard(framework)))
    if routed.handles:
        for error in (400, 404, 405, 500, ZeroDivisionError, HTTPException):
            app.register_error_handler(error, _function(routed, _handled))
    return app


def _add_views(framework: Any, app: Any, routed: Routed) -> None:
    def add(owner: Any, rule: str, endpoint: str) -> None:
        def view(**values: Any) -> Any:
            request = framework.request
            return {
                "endpoint": endpoint, "values": values, "path": request.path, "url": request.url,
                "host": request.host, "root": request.url_root, "home": framework.url_for("home"),
                "own": framework.url_for("own", item="pen", _external=True),
            }  # fmt: skip

        options = {"host": "<name>"} if routed.matching == "host" else {}
        if routed.matching == "subdomain" and endpoint == "page":
            options["subdomain"] = "<name>"
        methods = ["GET", "POST"]
        owner.add_url_rule(rule, endpoint, _function(routed, view), methods=methods, **options)

    blueprint = framework.Blueprint("bp", "lanes", url_prefix="/bp")
    add(app, "/", "home")
    add(app, "/deep/page", "deep")
    add(app, "/item/<int:number>", "item")
    add(app, "/dir/", "dir")
    add(app, "/<page>", "page")
    add(app, "/admin/<what>", "admin")
    add(app, "/own/<own:item>", "own")
    add(blueprint, "/view", "view")
    app.register_blueprint(blueprint)


def _function(routed: Routed, function: Any) -> Any:
    async def coroutine_function(*args: Any, **values: Any) -> Any:
        return function(*args, **values)

    return coroutine_function if routed.is_async else function


def _guard(framework: Any) -> None:
    if framework.request.path.startswith("/admin"):
        framework.abort(403)


def _handled(error: Exception) -> tuple[str, int]:
    return f"handled {type(error).__name__}", getattr(error, "code", None) or 500


def _class(app_class: Any, routed: Routed) -> Any:
    if not routed.overrides:
        return app_class

    class Overriding(app_class):  # type: ignore[misc]  # any class
        def create_url_adapter(self, request: Any) -> Any:
            if request is not None and request.headers.get("Host") == "a.sub.example":
                raise framework_error
            return super().create_url_adapter(request)

    framework_error = HTTPException("no such host")
    framework_error.code = 400
    return Overriding


def _converter(framework: Any) -> type[BaseConverter]:
    class Own(BaseConverter):
        def to_python(self, value: str) -> str:
            if value == "gone":
                framework.abort(404)
            if value == "broken":
                raise ZeroDivisionError(value)
            if value == "invalid":
                raise ValidationError(value)
            return f"{value} of {framework.current_app.name} at {framework.request.path}"

    return Own


def _request_class(framework: Any, kind: str) -> Any:
    class Trusted(framework.Request):  # type: ignore[misc, name-defined]  # of either framework
        trusted_hosts = TRUSTED

    class Property(framework.Request):  # type: ignore[misc, name-defined]
        # The configuration's are set on it.
        trusted_hosts = property(
            lambda self: TRUSTED if self.path == "/" else None, lambda self, given: None
        )

    class Constructor(framework.Request):  # type: ignore[misc, name-defined]
        def __init__(self, environ: Any, *args: Any, **more: Any) -> None:
            environ["PATH_INFO"] = environ["PATH_INFO"].replace("deep/page", "item/7")
            super().__init__(environ, *args, **more)
            self.trusted_hosts = TRUSTED

    class Method(framework.Request):  # type: ignore[misc, name-defined]
        # The constructor of Werkzeug's sets it.
        method = property(lambda self: self.environ["HTTP_X_METHOD"], lambda self, given: None)

    class Json(framework.Request):  # type: ignore[misc, name-defined]
        def on_json_loading_failed(self, e: Any) -> Any:
            return e

    classes = {
        "trusted": Trusted, "property": Property, "constructor": Constructor, "method": Method,
        "json": Json,
    }  # fmt: skip
    return classes.get(kind, framework.Request)
