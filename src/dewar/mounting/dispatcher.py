"""`DispatcherMiddleware`: several WSGI apps under one address, by path and by host."""

from collections.abc import Iterable, Mapping, MutableMapping
from types import MethodType
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dewar.layers import maybe_own_method
from dewar.mounting.apps import default_name, holds
from dewar.mounting.errors import MountError
from dewar.mounting.hosts import Hosts, checked_host
from dewar.mounting.lifespan import begin_all, end_all
from dewar.mounting.location import LOCATION, Location
from dewar.mounting.mount_point import Mount, MountPoint
from dewar.mounting.paths import checked_path, longest, to_wsgi


class Found(NamedTuple):
    """The app that a request leads to.

    Attributes:
        app: The app that answers it.
        mount: The path that the app is mounted at; empty for a whole host or the default app.
        rest: The rest of the path.
        host: The host that the app is mounted at, as it was given; None for any.
    """

    app: WSGIApplication
    mount: str
    rest: str
    host: str | None = None


class DispatcherMiddleware(MountPoint):
    """A WSGI app that hands each request to the app with the longest matching mount path.

    The mounted app sees the mount path in ``SCRIPT_NAME`` and the rest in ``PATH_INFO``, so the
    URLs it builds lead back to it::

        application = DispatcherMiddleware(shop, {"/admin": admin}, hosts={"api.example.com": api})

    Apps that are mounted at the host of a request go before those at a path. An exact name goes
    before ``*.example.com``, which stands for every name with that ending.

    Args:
        app: Answers what is under no mount.
        mounts: Apps by path. Each path begins with a slash and does not end with one. The mapping
            may be changed later.
        hosts: Apps by host, ``"api.example.com"``, or by host and path, ``"api.example.com/v1"``.

    Raises:
        MountError: For a host that no request can be for.
    """

    def __init__(
        self,
        app: WSGIApplication,
        mounts: Mapping[str, WSGIApplication] | None = None,
        hosts: Mapping[str, WSGIApplication] | None = None,
    ) -> None:
        self.app = app
        # Not a copy: the caller may add to it later.
        self.mounts: Mapping[str, WSGIApplication] = mounts if mounts is not None else {}
        self._hosts = Hosts()
        self._names: dict[tuple[str | None, str], str] = {}
        for where, mounted in (hosts or {}).items():
            host, slash, path = where.partition("/")
            self.mount(slash + path, mounted, host=host)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request with the app that is mounted where it leads."""
        return self.enter(environ)(environ, start_response)

    def __repr__(self) -> str:
        addresses = sorted(mount.address for mount in self.entries)
        return f"<{type(self).__name__} {addresses} beside {self.app!r}>"

    def find(self, environ: WSGIEnvironment) -> Found:
        """Return the app that a request leads to; the environ is not changed."""
        by_host = self._hosts.find(environ)
        if by_host is not None:
            host, part = by_host
            return Found(part.app, part.mount, part.rest, host)
        path = environ.get("PATH_INFO", "")
        by_path = longest(self.mounts, path)
        if by_path is None and path == "*":
            return Found(self.app, "", path)  # OPTIONS of the server (RFC 9110 §9.3.7)
        if by_path is None:
            # A path that does not begin with a slash keeps what is before its first one.
            head, slash, tail = path.partition("/")
            return Found(self.app, head, slash + tail)
        return Found(*by_path)

    def enter(self, environ: WSGIEnvironment) -> WSGIApplication:
        """Return the app for a request, and change the environ to that app's paths."""
        app, mount, rest, host = self.find(environ)
        script_root = environ.get("SCRIPT_NAME", "")
        environ[LOCATION] = Location(self, script_root, mount, host, environ.get(LOCATION))
        environ["SCRIPT_NAME"] = script_root + mount
        environ["PATH_INFO"] = rest
        return app

    def begin_on_loop(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """Return the work on an answer, if the app it leads to has it and nothing in it may block.

        The environ is not changed.
        """
        return self._ask("begin_on_loop", environ, start_response)

    def body_limit_for(self, environ: WSGIEnvironment) -> Any:
        """Return how many bytes of a body the app it leads to takes, or None.

        The environ is not changed.
        """
        return self._ask("body_limit_for", environ)

    def mount(
        self,
        path: str,
        app: WSGIApplication,
        *,
        host: str | None = None,
        name: str | None = None,
    ) -> None:
        """Mount another app; `dewar.Dewar.mount` says what the arguments mean.

        Raises:
            MountError: If it cannot be mounted there.
        """
        path = to_wsgi(checked_path(path, host))
        host = None if host is None else checked_host(host)
        new = Mount(app=app, path=path, host=host, name=name)
        self._check(new)
        if host is not None:
            self._hosts.add(host, path, app)
        elif isinstance(self.mounts, MutableMapping):
            self.mounts[path] = app
        else:
            raise MountError(
                f"{self.mounts!r} cannot be changed. Give DispatcherMiddleware a dict."
            )
        if name is not None:
            self._names[host, path] = name

    @property
    def default(self) -> WSGIApplication:
        """The app that answers where nothing is mounted."""
        return self.app

    @property
    def entries(self) -> tuple[Mount, ...]:
        """The mounted apps: first by path, then by host."""
        by_path = [(None, path, app) for path, app in self.mounts.items()]
        return tuple(
            Mount(
                app=app,
                path=path,
                host=host,
                name=self._names.get((host, path)) or default_name(app),
            )
            for host, path, app in [*by_path, *self._hosts]
        )

    def begin_serving(self) -> None:
        """Have every app begin to serve in this process; an error of one is raised."""
        begin_all(self)

    def end_serving(self, timeout: float) -> None:
        """Have every app stop serving, the last first; all are called, even if some fail.

        Args:
            timeout: The seconds that they share.
        """
        end_all(self, timeout)

    def _ask(self, name: str, environ: WSGIEnvironment, *args: object) -> Any:
        """Call a method of the app that a request leads to; return None if it has none."""
        moved = environ.copy()
        app = self.enter(moved)
        if isinstance(app, MethodType) and app.__name__ == "wsgi_app":
            # The middleware around the method is around this dispatcher too.
            ask = maybe_own_method(app.__self__, name)
            return ask and ask(moved, *args, skip_middleware=True)
        ask = maybe_own_method(app, name)
        return ask and ask(moved, *args)

    def _check(self, new: Mount) -> None:
        """Check that an app can be mounted.

        Raises:
            MountError: If it cannot.
        """
        if not callable(new.app):
            raise MountError(
                f"{new.app!r} cannot be mounted at {new.address}: it is not a WSGI callable."
            )
        if new.name is not None and (not new.name or ":" in new.name):
            raise MountError(
                f"{new.name!r} cannot be a name in links, which have it before a colon:"
                " url_for('admin:index'). Leave it out, or write name='admin'."
            )
        taken = self._hosts.has(new.host, new.path) if new.host else new.path in self.mounts
        if taken:
            raise MountError(
                f"{new.address} is taken: {self!r}. Mount {new.app!r} at another path, or leave"
                " out the other mount."
            )
        if holds(new.app, self):
            raise MountError(
                f"{new.app!r} cannot be mounted at {new.address} of {self.app!r}: it is that app,"
                " or has it mounted itself. Mount each app on one that it does not hold."
            )
