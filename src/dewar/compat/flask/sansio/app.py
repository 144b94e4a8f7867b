"""`flask.sansio.app`."""

from dewar.app import Dewar as App
from dewar.config import Config, ConfigAttribute
from dewar.contexts.namespace import AppGlobals as _AppCtxGlobals
from dewar.json.provider import DefaultJSONProvider, JSONProvider
from dewar.registration.packages import find_package
from dewar.registration.registrar import Registrar as Scaffold
from dewar.registration.registrar import setup_method as setupmethod
from dewar.registration.url_rules import endpoint_of as _endpoint_from_view_func

__all__ = [
    "App",
    "Config",
    "ConfigAttribute",
    "DefaultJSONProvider",
    "JSONProvider",
    "Scaffold",
    "_AppCtxGlobals",
    "_endpoint_from_view_func",
    "find_package",
    "setupmethod",
]
