"""`flask.sansio.app`."""

from dewar.app import Dewar as App
from dewar.registration.registrar import setup_method as setupmethod
from dewar.registration.url_rules import endpoint_of as _endpoint_from_view_func

__all__ = [
    "App",
    "_endpoint_from_view_func",
    "setupmethod",
]
