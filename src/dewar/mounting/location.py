"""`Location`: which of several mounted apps answers a request."""

from typing import NamedTuple, Optional
from wsgiref.types import WSGIEnvironment

from dewar.mounting.mount_point import MountPoint

#: The key in the environ. Only `DispatcherMiddleware` sets it.
LOCATION = "dewar.mounts"


class Location(NamedTuple):
    """Which app one mount point chose for a request.

    Attributes:
        mount_point: The mount point.
        script_root: ``SCRIPT_NAME`` before it.
        mount: The path that the app is mounted at; empty for a whole host or the default app.
        host: The host that the app is mounted at, as it was given; None for any.
        above: The location at the mount point before, if the request passed another.
    """

    mount_point: MountPoint
    script_root: str
    mount: str
    host: str | None
    above: Optional["Location"]  # a name in quotes has no |

    @property
    def root(self) -> "Location":
        """The location at the first mount point that the request passed."""
        return self if self.above is None else self.above.root

    @property
    def script_name(self) -> str:
        """The path before all of the app's own paths, with what a proxy or server put there."""
        return self.script_root + self.mount

    @property
    def address(self) -> str:
        """Where the app is mounted, as ``/path`` or ``//host/path``; empty for the default app."""
        own = self.mount if self.host is None else f"//{self.host}{self.mount}"
        return own if self.above is None else self.above.address + own

    def __repr__(self) -> str:
        return f"<Location {self.address or '/'}>"


def location_in(environ: WSGIEnvironment) -> Location | None:
    """Return where a request is answered; None if it passed no mount point."""
    location: object = environ.get(LOCATION)
    return location if isinstance(location, Location) else None
