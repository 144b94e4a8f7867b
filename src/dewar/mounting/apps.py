"""`MountedApp`: which apps a WSGI callable holds, and which of them answers a request."""

from collections.abc import Iterator
from types import MethodType
from typing import Any, NamedTuple, cast
from wsgiref.types import WSGIApplication, WSGIEnvironment

from dewar.layers import layers
from dewar.mounting.mount_point import MountPoint
from dewar.mounting.paths import from_wsgi

# More mount points below each other than any program has; an app may be mounted below itself.
_DEPTH = 50


class MountedApp(NamedTuple):
    """An app and where it is, seen from the root.

    Attributes:
        app: The app, or a WSGI callable of another kind.
        name: Its name in links.
        host: The host, as a name or ``*.name``; None for any.
        path: Its path, in the form of ``SCRIPT_NAME``.
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
    # The type and not the value, because a proxy would ask for the current app.
    return hasattr(type(value), "create_url_adapter")


def default_name(app: object) -> str | None:
    """Return the name of an app that was mounted without one: the last part of its own name."""
    for part in parts(app):
        name = getattr(part, "name", None) if is_app(part) else None
        if isinstance(name, str):
            return name.rpartition(".")[2]
    return None


def parts(app: object) -> Iterator[object]:
    """Yield the apps that a request passes, and at the end the first mount point if there is one.

    A callable of another kind is yielded if nothing else is found.
    """
    yield from _parts(app, ())


def _parts(app: object, passed: tuple[object, ...]) -> Iterator[object]:
    last: object = app
    for last in layers(app):
        if isinstance(last, MethodType) and is_app(last.__self__):
            # The app without the middleware that was put around it later.
            yield last.__self__
            return
        if isinstance(last, MountPoint):
            yield last
            return
        if is_app(last):
            if any(last is each for each in passed):
                return  # middleware around the app that keeps the app too, for its configuration
            yield last
            around = vars(last).get("wsgi_app")
            if around is not None:
                yield from _parts(around, (*passed, last))
            return
    yield last


def walk(app: object) -> Iterator[MountedApp]:
    """Yield all apps that a WSGI callable holds, the default one of each mount point first."""
    for mounted in _walk(MountedApp(app), frozenset()):
        if not isinstance(mounted.app, MountPoint):
            yield mounted


def holds(app: object, mount_point: MountPoint) -> bool:
    """Whether requests to a WSGI callable can pass a mount point."""
    return any(mounted.app is mount_point for mounted in _walk(MountedApp(app), frozenset()))


def _walk(at: MountedApp, above: frozenset[int]) -> Iterator[MountedApp]:
    for part in parts(at.app):
        if id(part) in above:
            continue
        above |= {id(part)}
        yield at._replace(app=part, name=at.name or default_name(part))
        if isinstance(part, MountPoint):
            yield from _walk(at._replace(app=part.default), above)
            for mount in part.entries:
                host, path = mount.host or at.host, at.path + mount.path
                yield from _walk(MountedApp(mount.app, mount.name, host, path), above)


def descend(app: WSGIApplication, environ: WSGIEnvironment) -> Any:
    """Return the app that answers a request, and change the environ to that app's paths."""
    for _ in range(_DEPTH):
        *_, last = parts(app)
        if not isinstance(last, MountPoint):
            return last
        app = last.enter(environ)
    return cast("Any", app)
