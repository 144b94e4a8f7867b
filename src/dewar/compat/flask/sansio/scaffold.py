"""`flask.sansio.scaffold`."""

from dewar.registration.packages import root_path_of as get_root_path
from dewar.registration.registrar import Registrar as Scaffold
from dewar.registration.registrar import setup_method as setupmethod
from dewar.registration.url_rules import endpoint_of as _endpoint_from_view_func

__all__ = [
    "Scaffold",
    "_endpoint_from_view_func",
    "get_root_path",
    "setupmethod",
]
