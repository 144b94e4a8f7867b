"""What keeps the sessions of mounted apps apart: a name, a path and a salt for each mount."""

from typing import Any
from urllib.parse import quote

from dewar.config import Default
from dewar.contexts.current import maybe_current
from dewar.mounting.paths import from_wsgi
from dewar.mounting.place import Place, place_in


def suffix(app: Any) -> str:
    """Return what the names of an app's cookie and salt end with, where the app is mounted.

    It is empty where the user has set the name, for the app that is mounted nowhere, and outside
    of its requests. It is made of characters that a cookie's name may have (RFC 6265, 4.1.1),
    and no two mounts have the same: ``~admin``, ``~~api.example.com~v1``.
    """
    if type(app.config["SESSION_COOKIE_NAME"]) is not Default:
        return ""
    place = _place_of(app)
    if place is None:
        return ""
    return quote(place.address.encode("latin-1", "replace")).replace("~", "%7E").replace("/", "~")


def cookie_path(app: Any) -> str | None:
    """Return the path below which an app is mounted; None where it is mounted nowhere."""
    place = _place_of(app)
    if place is None or not place.address:
        return None
    return from_wsgi(place.script_name) or "/"


def _place_of(app: Any) -> Place | None:
    """Return where the app answers the request that is being handled."""
    # The interface's methods are given the app alone, as Flask's are, and those of users too.
    context = maybe_current()
    carrier = None if context is None else context.request_context
    if carrier is None or carrier.app is not app:
        return None
    return place_in(carrier.environ)
