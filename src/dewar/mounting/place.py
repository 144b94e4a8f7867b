"""`Place`: where among mounted apps a request is answered."""

from typing import NamedTuple, Optional
from wsgiref.types import WSGIEnvironment

from dewar.mounting.branch import Branch

#: The key in the environ. Only `DispatcherMiddleware` sets it.
PLACE = "dewar.mounts"


class Place(NamedTuple):
    """Which way a request took at one branch, and at the one above it.

    Attributes:
        branch: Where it came by.
        script_root: ``SCRIPT_NAME`` as it was there.
        mount: The path that it followed; empty for a whole host or the default app.
        host: The host that it followed, as it was mounted; None for none.
        above: The branch before, if there was one.
    """

    branch: Branch
    script_root: str
    mount: str
    host: str | None
    above: Optional["Place"]  # a name in quotes has no |

    @property
    def root(self) -> "Place":
        """The first branch that the request came by."""
        return self if self.above is None else self.above.root

    @property
    def script_name(self) -> str:
        """The path before all of the app's own, with what a proxy or server put there."""
        return self.script_root + self.mount

    @property
    def address(self) -> str:
        """Where the app is mounted, as ``/path`` or ``//host/path``; empty where it is not."""
        own = self.mount if self.host is None else f"//{self.host}{self.mount}"
        return own if self.above is None else self.above.address + own

    def __repr__(self) -> str:
        return f"<Place {self.address or '/'}>"


def place_in(environ: WSGIEnvironment) -> Place | None:
    """Return where a request is answered; None where it came by no branch."""
    place: object = environ.get(PLACE)
    return place if isinstance(place, Place) else None
