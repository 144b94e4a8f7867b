"""`DispatcherMiddleware`: several WSGI apps under one address, by path and by host."""

from collections.abc import Iterable, Mapping, MutableMapping
from types import MethodType
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dewar.mounting.branch import Branch, Mount
from dewar.mounting.errors import MountError
from dewar.mounting.hosts import Hosts, checked_host
from dewar.mounting.lifespan import begin_all, end_all
from dewar.mounting.paths import checked_path, longest, to_wsgi
from dewar.mounting.place import PLACE, Place
from dewar.mounting.tree import default_name, holds


class Found(NamedTuple):
    """Where a request leads.

    Attributes:
        app: Which app answers it.
        mount: The path that the app is mounted at; empty for a whole host or the default app.
        rest: What is left of the path.
        host: The host that the app is mounted at, as it was given; None for any.
    """

    app: WSGIApplication
    mount: str
    rest: str
    host: str | None = None


class DispatcherMiddleware(Branch):
    """A WSGI app that hands each request to the app with the longest matching mount path.

    The mounted app sees the mount path in ``SCRIPT_NAME`` and the rest in ``PATH_INFO``, so the
    URLs it builds lead back to it::

        application = DispatcherMiddleware(shop, {"/admin": admin}, hosts={"api.example.com": api})

    What is mounted at the host of a request goes before the paths; an exact name goes before
    ``*.example.com``, which stands for every name that ends so.

    Args:
        app: Answers what is under no mount.
        mounts: Apps by path, each path beginning with a slash and not ending with one. What is
            put into it later counts too.
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
        # The caller's own mapping: what is mounted later counts too.
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
        """Return where a request leads; the environ stays as it is."""
        by_host = self._hosts.find(environ)
        if by_host is not None:
            host, part = by_host
            return Found(part.app, part.mount, part.rest, host)
        path = environ.get("PATH_INFO", "")
        by_path = longest(self.mounts, path)
        if by_path is None:
            # A path that does not begin with a slash keeps what is before its first one.
            head, slash, tail = path.partition("/")
            return Found(self.app, head, slash + tail)
        return Found(*by_path)

    def enter(self, environ: WSGIEnvironment) -> WSGIApplication:
        """Return the app for a request, and move the environ to where that app is."""
        app, mount, rest, host = self.find(environ)
        script_root = environ.get("SCRIPT_NAME", "")
        environ[PLACE] = Place(self, script_root, mount, host, environ.get(PLACE))
        environ["SCRIPT_NAME"] = script_root + mount
        environ["PATH_INFO"] = rest
        return app

    def begin_on_loop(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """Return the work on an answer, if the app it leads to has it and nothing in it may block.

        The environ is not changed.
        """
        moved = environ.copy()
        app = self.enter(moved)
        if isinstance(app, MethodType) and app.__name__ == "wsgi_app":
            # The middleware around the method is around this dispatcher too.
            begin = getattr(app.__self__, "begin_on_loop", None)
            return begin and begin(moved, start_response, skip_middleware=True)
        begin = getattr(app, "begin_on_loop", None)
        return begin and begin(moved, start_response)

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
        """What answers where nothing is mounted."""
        return self.app

    @property
    def entries(self) -> tuple[Mount, ...]:
        """What is mounted: first by path, then by host."""
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
        """Have every app begin to serve in this process; what one raises is raised."""
        begin_all(self)

    def end_serving(self, timeout: float) -> None:
        """Have every app end to serve, the last first; all do, even if some fail.

        Args:
            timeout: The seconds that they share.
        """
        end_all(self, timeout)

    def _check(self, new: Mount) -> None:
        """Refuse what cannot be mounted.

        Raises:
            MountError: Says why, and what to do.
        """
        if not callable(new.app):
            raise MountError(
                f"{new.app!r} cannot be mounted at {new.address}: it is no WSGI callable."
            )
        if new.name is not None and (not new.name or ":" in new.name):
            raise MountError(
                f"{new.name!r} is no name for links, which have it before their colon:"
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
