"""The tree of apps: which apps a WSGI callable holds, and which of them answers a request."""

from collections.abc import Iterator
from types import MethodType
from typing import Any, NamedTuple, cast
from wsgiref.types import WSGIApplication, WSGIEnvironment

from dewar.layers import layers
from dewar.mounting.branch import Branch
from dewar.mounting.paths import from_wsgi

# More branches one below the other than anybody has; an app may be mounted below itself.
_DEPTH = 50


class Node(NamedTuple):
    """An app and where it is, seen from the root.

    Attributes:
        app: The app, or a WSGI callable of another kind.
        name: What links call it by.
        host: The host, as a name or ``*.name``; None for any.
        path: The path that it is below, in the form of ``SCRIPT_NAME``.
    """

    app: Any
    name: str | None = None
    host: str | None = None
    path: str = ""

    @property
    def address(self) -> str:
        """Where it is, as people read it: ``/path`` or ``//host/path``."""
        path = from_wsgi(self.path)
        return path or "/" if self.host is None else f"//{self.host}{path}"


def is_app(value: object) -> bool:
    """Whether a value has routes and builds URLs, as an app of Dewar or Flask does."""
    # The type is asked and not the value: a proxy would ask for the current app.
    return hasattr(type(value), "create_url_adapter")


def default_name(app: object) -> str | None:
    """Return what an app is called where nobody names it: the last part of its own name."""
    for part in parts(app):
        name = getattr(part, "name", None) if is_app(part) else None
        if isinstance(name, str):
            return name.rpartition(".")[2]
    return None


def parts(app: object) -> Iterator[object]:
    """Yield what a request comes by: apps, and at the end the first branch if there is one.

    What is neither is yielded where nothing else was found.
    """
    last: object = app
    for last in layers(app):
        if isinstance(last, MethodType) and is_app(last.__self__):
            # The app without what was put around it later.
            yield last.__self__
            return
        if isinstance(last, Branch):
            yield last
            return
        if is_app(last):
            yield last
            around = vars(last).get("wsgi_app")
            if around is not None:
                yield from parts(around)
            return
    yield last


def walk(app: object) -> Iterator[Node]:
    """Yield all apps that a WSGI callable holds, the default one of each branch first."""
    return (node for node in _walk(Node(app), frozenset()) if not isinstance(node.app, Branch))


def holds(app: object, branch: Branch) -> bool:
    """Whether requests to a WSGI callable can come by a branch."""
    return any(node.app is branch for node in _walk(Node(app), frozenset()))


def _walk(at: Node, above: frozenset[int]) -> Iterator[Node]:
    for part in parts(at.app):
        if id(part) in above:
            continue
        above |= {id(part)}
        yield at._replace(app=part, name=at.name or default_name(part))
        if isinstance(part, Branch):
            yield from _walk(at._replace(app=part.default), above)
            for mount in part.entries:
                below = Node(mount.app, mount.name, mount.host or at.host, at.path + mount.path)
                yield from _walk(below, above)


def descend(app: WSGIApplication, environ: WSGIEnvironment) -> Any:
    """Return the app that answers a request, and move the environ to where that app is."""
    for _ in range(_DEPTH):
        *_, last = parts(app)
        if not isinstance(last, Branch):
            return last
        app = last.enter(environ)
    return cast("Any", app)
