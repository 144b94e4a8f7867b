"""Dewar: Flask's programming model on a core that keeps every request's state to itself.

This module has all public names. Background work and WebSockets (which need more libraries),
templates, server-sent events and the server are imported on first use.
"""

from typing import TYPE_CHECKING

from dewar import json
from dewar.app import Dewar
from dewar.blueprints.blueprint import Blueprint
from dewar.config import Config
from dewar.contexts.copying import copy_current_request_context
from dewar.contexts.streaming import stream_with_context
from dewar.errors import DewarError
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
from dewar.isolation.local import Local, release_local
from dewar.isolation.manager import LocalManager
from dewar.isolation.proxy import LocalProxy
from dewar.isolation.stack import LocalStack
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
from dewar.support.lazy_names import lazy_names
from dewar.version import __version__

if TYPE_CHECKING:
    from dewar.events.event import ServerSentEvent
    from dewar.events.stream import event_stream
    from dewar.tasks.pool import TaskPool
    from dewar.tasks.progress import current_job
    from dewar.tasks.tasks import Tasks
    from dewar.tasks.workflows.steps import chain, chord, group
    from dewar.tasks_http.blueprint import tasks_blueprint
    from dewar.templating import (
        get_template_attribute,
        render_template,
        render_template_string,
        stream_template,
        stream_template_string,
    )
    from dewar.websocket.errors import WebSocketClosedError
    from dewar.websocket.websocket import WebSocket
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "ServerSentEvent": "dewar.events.event",
            "TaskPool": "dewar.tasks.pool",
            "Tasks": "dewar.tasks.tasks",
            "WebSocket": "dewar.websocket.websocket",
            "WebSocketClosedError": "dewar.websocket.errors",
            "chain": "dewar.tasks.workflows.steps",
            "chord": "dewar.tasks.workflows.steps",
            "current_job": "dewar.tasks.progress",
            "event_stream": "dewar.events.stream",
            "get_template_attribute": "dewar.templating",
            "group": "dewar.tasks.workflows.steps",
            "render_template": "dewar.templating",
            "render_template_string": "dewar.templating",
            "stream_template": "dewar.templating",
            "stream_template_string": "dewar.templating",
            "tasks_blueprint": "dewar.tasks_http.blueprint",
            # Modules that a program can use after ``import dewar``.
            "running": "dewar.running",
            "server": "dewar.server",
        },
    )

__all__ = [
    "Blueprint",
    "Config",
    "Dewar",
    "DewarError",
    "Local",
    "LocalManager",
    "LocalProxy",
    "LocalStack",
    "Request",
    "Response",
    "ServerSentEvent",
    "TaskPool",
    "Tasks",
    "WebSocket",
    "WebSocketClosedError",
    "__version__",
    "abort",
    "after_this_request",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "chain",
    "chord",
    "copy_current_request_context",
    "current_app",
    "current_job",
    "event_stream",
    "flash",
    "g",
    "get_flashed_messages",
    "get_template_attribute",
    "got_request_exception",
    "group",
    "has_app_context",
    "has_request_context",
    "json",
    "jsonify",
    "make_response",
    "message_flashed",
    "redirect",
    "release_local",
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
    "tasks_blueprint",
    "template_rendered",
    "url_for",
]
