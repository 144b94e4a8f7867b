"""`flask`: Dewar under Flask's names."""

import warnings
from typing import Any

from dewar.app import Dewar as Flask
from dewar.blueprints.blueprint import Blueprint
from dewar.compat.flask import json
from dewar.compat.historic import historic
from dewar.compat.version import flask_version
from dewar.config import Config
from dewar.contexts.copying import copy_current_request_context
from dewar.contexts.streaming import stream_with_context
from dewar.files import send_file, send_from_directory
from dewar.globals import current_app, g, request, session
from dewar.helpers import (
    abort,
    after_this_request,
    flash,
    get_flashed_messages,
    has_app_context,
    has_request_context,
    make_response,
    redirect,
    url_for,
)
from dewar.json import jsonify
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    before_render_template,
    got_request_exception,
    message_flashed,
    request_finished,
    request_started,
    request_tearing_down,
    template_rendered,
)
from dewar.templating import (
    get_template_attribute,
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)

__all__ = [
    "Blueprint",
    "Config",
    "Flask",
    "Request",
    "Response",
    "abort",
    "after_this_request",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "copy_current_request_context",
    "current_app",
    "flash",
    "g",
    "get_flashed_messages",
    "get_template_attribute",
    "got_request_exception",
    "has_app_context",
    "has_request_context",
    "json",
    "jsonify",
    "make_response",
    "message_flashed",
    "redirect",
    "render_template",
    "render_template_string",
    "request",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "send_file",
    "send_from_directory",
    "session",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "template_rendered",
    "url_for",
]


def __getattr__(name: str) -> Any:
    if name != "__version__":
        return historic(__name__, name)
    warnings.warn(
        "flask.__version__ is deprecated in Flask 3.1. Use importlib.metadata.version('flask').",
        DeprecationWarning,
        stacklevel=2,
    )
    return flask_version()
