"""`Branch`: where several apps part, and `Mount`, one of them."""

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
        path: Where, in the form of ``PATH_INFO``; empty for a whole host.
        host: The host, as a name or ``*.name``; None for any.
        name: What links call it by; None where nobody gave a name and the app has none.
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


class Branch(ABC):
    """A WSGI app that hands each request to one of several."""

    @property
    @abstractmethod
    def default(self) -> WSGIApplication:
        """What answers where nothing is mounted."""

    @property
    @abstractmethod
    def entries(self) -> Sequence[Mount]:
        """What is mounted."""

    @abstractmethod
    def enter(self, environ: WSGIEnvironment) -> WSGIApplication:
        """Return the app for a request, and move the environ to where that app is."""
