"""Links from one mounted app to another: ``url_for("admin:index")``.

What stands before the colon is the name of an app, and nothing at all means the root: the app
that answers where nothing is mounted.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from wsgiref.types import WSGIEnvironment

from werkzeug.routing import MapAdapter
from werkzeug.wsgi import get_host

from dewar.mounting.errors import MountLinkError
from dewar.mounting.hosts import fits, host_of
from dewar.mounting.place import place_in
from dewar.mounting.tree import Node, descend, is_app, walk


class Target(NamedTuple):
    """The app that a link leads to.

    Attributes:
        app: The app.
        adapter: What builds its URLs; None where nobody said for which host.
        is_elsewhere: Whether it has another host than the request.
    """

    app: Any
    adapter: MapAdapter | None
    is_elsewhere: bool = False


class _Ground(NamedTuple):
    """All the apps that can be linked to.

    Attributes:
        root: The WSGI callable that holds them.
        script_root: What comes before all their paths.
        environ: Of the request; None outside of one.
    """

    root: Any
    script_root: str
    environ: WSGIEnvironment | None

    def nodes(self) -> list[Node]:
        """Return the apps, the root first."""
        return list(walk(self.root))

    def root_apps(self) -> list[Any]:
        """Return the app that answers where nothing is mounted, if it is one that says where."""
        first = next(walk(self.root)).app
        return [first] if is_app(first) else []


def named_target(
    app: Any, environ: WSGIEnvironment | None, link: str, values: dict[str, Any]
) -> Target | None:
    """Return where ``name:endpoint`` leads; None where no other app is there.

    Args:
        app: The app that handles the request; outside of one the current app.
        environ: Of the request, if there is one.
        link: What `url_for` was given.
        values: The same, for the error.

    Raises:
        MountLinkError: If there is no app of that name, more than one, or no host for it.
    """
    ground = _ground_of(app, environ)
    nodes = ground.nodes()
    name = link.partition(":")[0]
    if name:
        # Two modules may end alike; then the whole name tells them apart.
        found = [node for node in nodes if node.name == name] or [
            node for node in nodes if is_app(node.app) and node.app.name == name
        ]
    else:
        # Outside of a request the app may itself be mounted, and does not know where.
        found = nodes[:1] if environ is not None else []
    if not found and len(nodes) == 1:
        return None
    if len(found) != 1 or not is_app(found[0].app):
        raise MountLinkError(_unclear(link, found, nodes, environ), link, values)
    return _target(ground, found[0], link, values)


def maybe_target(app: Any, handling: Any, environ: WSGIEnvironment, endpoint: str) -> Target | None:
    """Return an app beside the one that handles a request, for a link; None for a stranger.

    Args:
        app: The app; where it is mounted twice, the first place counts.
        handling: The app that handles the request.
        environ: Of the request.
        endpoint: What it is linked to there, for the error.
    """
    ground = _ground_of(handling, environ)
    for node in ground.nodes():
        if node.app is app:
            return _target(ground, node, endpoint, {})
    return None


def _ground_of(app: Any, environ: WSGIEnvironment | None) -> _Ground:
    if environ is None:
        return _Ground(app, app.config["APPLICATION_ROOT"].rstrip("/"), None)
    place = place_in(environ)
    if place is None:
        return _Ground(app, environ.get("SCRIPT_NAME", ""), environ)
    return _Ground(place.root.branch, place.root.script_root, environ)


def _target(ground: _Ground, node: Node, link: str, values: dict[str, Any]) -> Target:
    script_name, environ = ground.script_root + node.path, ground.environ
    if environ is None:
        return Target(node.app, _adapter_without_request(ground, node, script_name))
    host, current = _host_for(ground, node, environ), get_host(environ)
    if host is None:
        raise MountLinkError(_no_host(link, node, current), link, values)
    # Made anew from the environ, so that the app's own way to make an adapter counts.
    moved = {**environ, "HTTP_HOST": host, "SCRIPT_NAME": script_name, "PATH_INFO": "/"}
    adapter = node.app.create_url_adapter(node.app.request_class(moved))
    # It refers to the request, and that to it: the memory would wait for the garbage collector.
    moved["werkzeug.request"] = None
    return Target(node.app, adapter, is_elsewhere=host != current)


def _adapter_without_request(ground: _Ground, node: Node, script_name: str) -> MapAdapter | None:
    """Return what builds URLs of an app that the current one holds, for its ``SERVER_NAME``."""
    config = ground.root.config
    server: str | None = config["SERVER_NAME"]
    if node.host is not None and not node.host.startswith("*."):
        server = node.host + _port_of(server or "")
    elif node.host is not None:
        server = node.app.config["SERVER_NAME"]
    if server is None:
        return None
    adapter: MapAdapter = node.app.url_map.bind(
        server, script_name=script_name or "/", url_scheme=config["PREFERRED_URL_SCHEME"]
    )
    return adapter


def _host_for(ground: _Ground, node: Node, environ: WSGIEnvironment) -> str | None:
    """Return the first host by which a request leads to an app, with its port."""
    current = get_host(environ)
    configured = [app.config["SERVER_NAME"] for app in (node.app, *ground.root_apps())]
    candidates = [current, *configured]
    if node.host is not None and not node.host.startswith("*."):
        candidates = [node.host + _port_of(current)]
        if fits(node.host, host_of(environ)):
            candidates = [current]
    for host in filter(None, candidates):
        asked = {"HTTP_HOST": host, "SCRIPT_NAME": "", "PATH_INFO": f"{node.path}/"}
        if descend(ground.root, asked) is node.app and asked["SCRIPT_NAME"] == node.path:
            return str(host)
    return None


def _port_of(host: str) -> str:
    port = host.rpartition("]")[2].rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
    return port and f":{port}"


def _unclear(
    link: str, found: Sequence[Node], nodes: Sequence[Node], environ: WSGIEnvironment | None
) -> str:
    name = link.partition(":")[0]
    mounted = ", ".join(f"{node.name or node.app!r} at {node.address}" for node in nodes)
    repair = "Name an app when it is mounted: app.mount('/path', other, name='other')."
    if not name and environ is None:
        return (
            f"{link!r} means the root of all apps, and outside of a request nobody says which that"
            f" is. Here are {mounted}: url_for({f'{nodes[0].name}{link}'!r})."
        )
    if not found:
        what = f"no mounted app is called {name!r}"
    elif len(found) > 1:
        what = f"{len(found)} mounted apps are called {name!r}"
    else:
        what = f"{found[0].app!r} is a WSGI callable without endpoints"
    return f"Could not build a URL for {link!r}: {what}. There are {mounted}. {repair}"


def _no_host(link: str, node: Node, current: str) -> str:
    return (
        f"Could not build a URL for {link!r}: from {current!r} nobody can tell by which host"
        f" {node.app!r} at {node.address} is reached. Say it in its configuration, or in that of"
        " the root: app.config['SERVER_NAME'] = 'example.com'."
    )
