"""`flask.views`."""

from dewar.globals import current_app, request
from dewar.views import MethodView, View, http_method_funcs

__all__ = [
    "MethodView",
    "View",
    "current_app",
    "http_method_funcs",
    "request",
]
