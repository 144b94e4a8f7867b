"""`flask.sansio.scaffold`."""

from jinja2 import FileSystemLoader

from dewar.registration.packages import find_package
from dewar.registration.packages import root_path_of as get_root_path
from dewar.registration.registrar import Registrar as Scaffold
from dewar.registration.registrar import setup_method as setupmethod
from dewar.registration.url_rules import endpoint_of as _endpoint_from_view_func
from dewar.template_names import standard_names as _default_template_ctx_processor

__all__ = [
    "FileSystemLoader",
    "Scaffold",
    "_default_template_ctx_processor",
    "_endpoint_from_view_func",
    "find_package",
    "get_root_path",
    "setupmethod",
]
