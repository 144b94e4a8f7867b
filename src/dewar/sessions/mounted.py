"""The cookies of mounted apps: a name, a path and a salt for each mount."""

from typing import Any
from urllib.parse import quote

from dewar.config import Default
from dewar.contexts.current import contexts
from dewar.mounting.location import LOCATION, Location, location_in
from dewar.mounting.paths import from_wsgi


def suffix(app: Any) -> str:
    """Return the end of the names of an app's cookie and salt, if the app is mounted.

    It is empty if the user has set the name, for an app that is not mounted, and outside of its
    requests. It has only characters that a cookie's name may have (RFC 6265, 4.1.1), and no two
    mounts have the same: ``~admin``, ``~~api.example.com~v1``.
    """
    location = _location_of(app)
    if location is None or type(app.config["SESSION_COOKIE_NAME"]) is not Default:
        return ""
    quoted = quote(location.address.encode("latin-1", "replace"))
    return quoted.replace("~", "%7E").replace("/", "~")


def cookie_path(app: Any) -> str | None:
    """Return the path that an app is mounted at; None if it is not mounted."""
    location = _location_of(app)
    if location is None or not location.address:
        return None
    return from_wsgi(location.script_name) or "/"


def _location_of(app: Any) -> Location | None:
    """Return where the app answers the request that is being handled."""
    # The methods of a session interface have only the app as an argument, as in Flask.
    # PERF: without `maybe_current_request` and `location_in`, as each session asks several times.
    state = contexts.reader(None)
    carrier = None if state is None else state[1]
    if carrier is None or carrier.app is not app or LOCATION not in carrier._dewar_environ:
        return None
    return location_in(carrier._dewar_environ)
