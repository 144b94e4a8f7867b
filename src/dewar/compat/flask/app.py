"""`flask.app`."""

from inspect import iscoroutinefunction

import click
from werkzeug.datastructures import Headers, ImmutableDict
from werkzeug.exceptions import BadRequestKeyError, HTTPException, InternalServerError
from werkzeug.routing import BuildError, Map, MapAdapter, RequestRedirect, RoutingException, Rule
from werkzeug.wrappers import Response as BaseResponse
from werkzeug.wsgi import get_host

from dewar.app import Dewar as Flask
from dewar.contexts.context import Context as AppContext
from dewar.contexts.context import Context as RequestContext
from dewar.contexts.legacy import app_cell as _cv_app
from dewar.contexts.legacy import request_cell as _cv_request
from dewar.environment import debug_flag as get_debug_flag
from dewar.files import send_from_directory
from dewar.globals import current_app, g, request, request_ctx, session
from dewar.helpers import get_flashed_messages
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.sessions.interface import SessionInterface
from dewar.sessions.secure_cookie import SecureCookieSessionInterface
from dewar.signals import (
    appcontext_tearing_down,
    got_request_exception,
    request_finished,
    request_started,
    request_tearing_down,
)
from dewar.templating import Environment

__all__ = [
    "AppContext",
    "BadRequestKeyError",
    "BaseResponse",
    "BuildError",
    "Environment",
    "Flask",
    "HTTPException",
    "Headers",
    "ImmutableDict",
    "InternalServerError",
    "Map",
    "MapAdapter",
    "Request",
    "RequestContext",
    "RequestRedirect",
    "Response",
    "RoutingException",
    "Rule",
    "SecureCookieSessionInterface",
    "SessionInterface",
    "_cv_app",
    "_cv_request",
    "appcontext_tearing_down",
    "click",
    "current_app",
    "g",
    "get_debug_flag",
    "get_flashed_messages",
    "get_host",
    "got_request_exception",
    "iscoroutinefunction",
    "request",
    "request_ctx",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "send_from_directory",
    "session",
]
