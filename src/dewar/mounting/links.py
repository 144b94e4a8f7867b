"""Links from one mounted app to another: ``url_for("admin:index")``.

The name of an app is before the colon. An empty name means the root: the app that answers where
nothing is mounted.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from wsgiref.types import WSGIEnvironment

from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

from dewar.mounting.apps import MountedApp, descend, is_app, walk
from dewar.mounting.errors import MountLinkError
from dewar.mounting.hosts import fits, host_of
from dewar.mounting.location import location_in


class Target(NamedTuple):
    """The app that a link leads to.

    Attributes:
        app: The app.
        adapter: Builds its URLs; None if no host is known.
        is_elsewhere: Whether it has another host than the request.
    """

    app: Any
    adapter: MapAdapter | None
    is_elsewhere: bool = False


class _LinkScope(NamedTuple):
    """All the apps that can be linked to.

    Attributes:
        root: The WSGI callable that holds them.
        script_root: The path before all their paths.
        environ: The environ of the request; None outside of one.
    """

    root: Any
    script_root: str
    environ: WSGIEnvironment | None

    def apps(self) -> list[MountedApp]:
        """Return the apps, the root first."""
        return list(walk(self.root))

    def root_apps(self) -> list[Any]:
        """Return the app that answers where nothing is mounted, if it has a configuration."""
        first = next(walk(self.root)).app
        return [first] if is_app(first) else []


def named_target(
    app: Any, environ: WSGIEnvironment | None, link: str, values: dict[str, Any]
) -> Target | None:
    """Return the app that ``name:endpoint`` leads to; None if there is no other app.

    Args:
        app: The app that handles the request; outside of one the current app.
        environ: The environ of the request, if there is one.
        link: The endpoint that `url_for` was given.
        values: The values that `url_for` was given, for the error.

    Raises:
        MountLinkError: If there is no app of that name, more than one, or no host for it.
    """
    scope = _scope_of(app, environ)
    apps = scope.apps()
    name = link.partition(":")[0]
    if name:
        # The names of two modules may end alike; then the whole name is needed.
        found = [mounted for mounted in apps if mounted.name == name] or [
            mounted for mounted in apps if is_app(mounted.app) and mounted.app.name == name
        ]
    else:
        # Outside of a request the app does not know where it is mounted itself.
        found = apps[:1] if environ is not None else []
    if not found and len(apps) == 1:
        return None
    if len(found) != 1 or not is_app(found[0].app):
        raise MountLinkError(_unclear(link, found, apps, environ), link, values)
    return _target(scope, found[0], link, values)


def maybe_target(app: Any, handling: Any, environ: WSGIEnvironment, endpoint: str) -> Target | None:
    """Return an app beside the one that handles a request, for a link; None for any other app.

    Args:
        app: The app; if it is mounted twice, the first mount counts.
        handling: The app that handles the request.
        environ: The environ of the request.
        endpoint: The endpoint in that app, for the error.
    """
    scope = _scope_of(handling, environ)
    for mounted in scope.apps():
        if mounted.app is app:
            return _target(scope, mounted, endpoint, {})
    return None


def _scope_of(app: Any, environ: WSGIEnvironment | None) -> _LinkScope:
    if environ is None:
        return _LinkScope(app, app.config["APPLICATION_ROOT"].rstrip("/"), None)
    location = location_in(environ)
    if location is None:
        return _LinkScope(app, environ.get("SCRIPT_NAME", ""), environ)
    return _LinkScope(location.root.mount_point, location.root.script_root, environ)


def _target(scope: _LinkScope, mounted: MountedApp, link: str, values: dict[str, Any]) -> Target:
    script_name, environ = scope.script_root + mounted.path, scope.environ
    if environ is None:
        return Target(mounted.app, _adapter_without_request(scope, mounted, script_name))
    host, current = _host_for(scope, mounted, environ), get_host(environ)
    if host is None:
        raise MountLinkError(_no_host(link, mounted, current), link, values)
    # From a new environ, so that an app's own `create_url_adapter` is used.
    moved = {**environ, "HTTP_HOST": host, "SCRIPT_NAME": script_name, "PATH_INFO": "/"}
    adapter = mounted.app.create_url_adapter(mounted.app.request_class(moved))
    # It and the request refer to each other: the memory would wait for the garbage collector.
    moved["werkzeug.request"] = None
    return Target(mounted.app, adapter, is_elsewhere=host != current)


def _adapter_without_request(
    scope: _LinkScope, mounted: MountedApp, script_name: str
) -> MapAdapter | None:
    """Return the adapter of an app that the current one holds, for its ``SERVER_NAME``."""
    config = scope.root.config
    server: str | None = config["SERVER_NAME"]
    if mounted.host is not None and not mounted.host.startswith("*."):
        server = mounted.host + _port_of(server or "")
    elif mounted.host is not None:
        server = mounted.app.config["SERVER_NAME"]
    if server is None:
        return None
    adapter: MapAdapter = mounted.app.url_map.bind(
        server, script_name=script_name or "/", url_scheme=config["PREFERRED_URL_SCHEME"]
    )
    return adapter


def _host_for(scope: _LinkScope, mounted: MountedApp, environ: WSGIEnvironment) -> str | None:
    """Return the first host by which a request leads to an app, with its port."""
    current = get_host(environ)
    configured = [app.config["SERVER_NAME"] for app in (mounted.app, *scope.root_apps())]
    candidates = [current, *configured]
    if mounted.host is not None and not mounted.host.startswith("*."):
        candidates = [mounted.host + _port_of(current)]
        if fits(mounted.host, host_of(environ)):
            candidates = [current]
    for host in filter(None, candidates):
        asked = {"HTTP_HOST": host, "SCRIPT_NAME": "", "PATH_INFO": f"{mounted.path}/"}
        if descend(scope.root, asked) is mounted.app and asked["SCRIPT_NAME"] == mounted.path:
            return str(host)
    return None


def _port_of(host: str) -> str:
    port = host.rpartition("]")[2].rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
    return port and f":{port}"


def _unclear(
    link: str,
    found: Sequence[MountedApp],
    apps: Sequence[MountedApp],
    environ: WSGIEnvironment | None,
) -> str:
    name = link.partition(":")[0]
    known = ", ".join(f"{app.name or app.app!r} at {app.address}" for app in apps)
    repair = "Name an app when it is mounted: app.mount('/path', other, name='other')."
    if not name and environ is None:
        return (
            f"{link!r} means the root of all apps, and outside of a request it is not known which"
            f" that is. The apps are {known}: url_for({f'{apps[0].name}{link}'!r})."
        )
    if not found:
        what = f"no mounted app is called {name!r}"
    elif len(found) > 1:
        what = f"{len(found)} mounted apps are called {name!r}"
    else:
        what = f"{found[0].app!r} is a WSGI callable without endpoints"
    return f"Could not build a URL for {link!r}: {what}. The apps are {known}. {repair}"


def _no_host(link: str, mounted: MountedApp, current: str) -> str:
    return (
        f"Could not build a URL for {link!r}: from {current!r} it is not known by which host"
        f" {mounted.app!r} at {mounted.address} is reached. Set it in the configuration of that app"
        " or of the root: app.config['SERVER_NAME'] = 'example.com'."
    )
