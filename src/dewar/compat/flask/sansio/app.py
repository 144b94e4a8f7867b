"""`flask.sansio.app`."""

from werkzeug.utils import redirect as _wz_redirect

from dewar.app_parts import AppParts as App
from dewar.config import Config, ConfigAttribute
from dewar.contexts.namespace import AppGlobals as _AppCtxGlobals
from dewar.environment import debug_flag as get_debug_flag
from dewar.json.provider import DefaultJSONProvider, JSONProvider
from dewar.logging import create_logger
from dewar.registration.packages import find_package
from dewar.registration.registrar import Registrar as Scaffold
from dewar.registration.registrar import setup_method as setupmethod
from dewar.registration.url_rules import endpoint_of as _endpoint_from_view_func
from dewar.template_lookup import TemplatesOfAll as DispatchingJinjaLoader
from dewar.templating import Environment

__all__ = [
    "App",
    "Config",
    "ConfigAttribute",
    "DefaultJSONProvider",
    "DispatchingJinjaLoader",
    "Environment",
    "JSONProvider",
    "Scaffold",
    "_AppCtxGlobals",
    "_endpoint_from_view_func",
    "_wz_redirect",
    "create_logger",
    "find_package",
    "get_debug_flag",
    "setupmethod",
]
