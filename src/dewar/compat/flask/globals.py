"""`flask.globals`."""

from typing import Any

from dewar.compat.historic import historic
from dewar.contexts.legacy import app_cell as _cv_app
from dewar.contexts.legacy import request_cell as _cv_request
from dewar.globals import app_ctx, current_app, g, request, request_ctx, session
from dewar.isolation.proxy import LocalProxy

__all__ = [
    "LocalProxy",
    "_cv_app",
    "_cv_request",
    "app_ctx",
    "current_app",
    "g",
    "request",
    "request_ctx",
    "session",
]


def __getattr__(name: str) -> Any:
    return historic(__name__, name)
