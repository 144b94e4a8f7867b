"""`flask.templating`."""

from jinja2 import BaseLoader, Template, TemplateNotFound
from jinja2 import Environment as BaseEnvironment

from dewar.contexts.legacy import app_cell as _cv_app
from dewar.contexts.legacy import request_cell as _cv_request
from dewar.contexts.streaming import stream_with_context
from dewar.globals import current_app, request
from dewar.signals import before_render_template, template_rendered
from dewar.template_lookup import TemplatesOfAll as DispatchingJinjaLoader
from dewar.template_names import standard_names as _default_template_ctx_processor
from dewar.templating import (
    Environment,
    _stream,
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)
from dewar.templating import render as _render

__all__ = [
    "BaseEnvironment",
    "BaseLoader",
    "DispatchingJinjaLoader",
    "Environment",
    "Template",
    "TemplateNotFound",
    "_cv_app",
    "_cv_request",
    "_default_template_ctx_processor",
    "_render",
    "_stream",
    "before_render_template",
    "current_app",
    "render_template",
    "render_template_string",
    "request",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "template_rendered",
]
