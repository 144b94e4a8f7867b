"""`DispatcherMiddleware`: several WSGI apps under one address, by the path they are mounted at."""

from collections.abc import Iterable, Mapping
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["DispatcherMiddleware"]


class DispatcherMiddleware:
    """A WSGI app that hands each request to the app with the longest matching mount path.

    The mounted app sees the mount path in ``SCRIPT_NAME`` and the rest in ``PATH_INFO``, so the
    URLs it builds lead back to it::

        app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/admin": admin})

    Args:
        app: answers what is under no mount.
        mounts: apps by path, each path beginning with a slash and not ending with one.
    """

    def __init__(
        self, app: WSGIApplication, mounts: Mapping[str, WSGIApplication] | None = None
    ) -> None:
        self.app = app
        # The caller's own mapping: what is mounted later counts too.
        self.mounts = mounts if mounts is not None else {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request with the app that is mounted where it leads."""
        app, mount, rest = self._find(environ.get("PATH_INFO", ""))
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + mount
        environ["PATH_INFO"] = rest
        return app(environ, start_response)

    def _find(self, path: str) -> tuple[WSGIApplication, str, str]:
        """Return the app for a path, where it is mounted, and what is left of the path."""
        mount, rest = path, ""
        while "/" in mount:
            if mount in self.mounts:
                return self.mounts[mount], mount, rest
            mount, _, segment = mount.rpartition("/")
            rest = f"/{segment}{rest}"
        # A mount without a slash before it, and the app for everything at "".
        return self.mounts.get(mount, self.app), mount, rest

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {sorted(self.mounts)} beside {self.app!r}>"
