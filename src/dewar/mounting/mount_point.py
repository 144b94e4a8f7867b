"""`MountPoint`: a WSGI app that others are mounted on, and `Mount`, one of those."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from wsgiref.types import WSGIApplication, WSGIEnvironment

from dewar.mounting.paths import from_wsgi


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Mount:
    """One app that is mounted.

    Attributes:
        app: The app, any WSGI callable.
        path: Its path, in the form of ``PATH_INFO``; empty for a whole host.
        host: The host, as a name or ``*.name``; None for any.
        name: Its name in links; None if no name was given and the app has none.
    """

    app: WSGIApplication
    path: str
    host: str | None = None
    name: str | None = None

    @property
    def address(self) -> str:
        """Where it is mounted, as people read it: ``/path`` or ``//host/path``."""
        path = from_wsgi(self.path)
        return path if self.host is None else f"//{self.host}{path}"

    def __repr__(self) -> str:
        name = "" if self.name is None else f" named {self.name!r}"
        return f"<Mount {self.address}{name}: {self.app!r}>"


class MountPoint(ABC):
    """A WSGI app that hands each request to one of several."""

    @property
    @abstractmethod
    def default(self) -> WSGIApplication:
        """The app that answers where nothing is mounted."""

    @property
    @abstractmethod
    def entries(self) -> Sequence[Mount]:
        """The mounted apps."""

    @abstractmethod
    def enter(self, environ: WSGIEnvironment) -> WSGIApplication:
        """Return the app for a request, and change the environ to that app's paths."""
