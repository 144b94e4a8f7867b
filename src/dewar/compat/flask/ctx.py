"""`flask.ctx`: one class implements both of Flask's contexts."""

from typing import Any

from dewar.compat.historic import historic
from dewar.contexts.context import Context as AppContext
from dewar.contexts.context import Context as RequestContext
from dewar.contexts.copying import copy_current_request_context
from dewar.contexts.legacy import app_cell as _cv_app
from dewar.contexts.legacy import request_cell as _cv_request
from dewar.contexts.namespace import AppGlobals as _AppCtxGlobals
from dewar.helpers import after_this_request, has_app_context, has_request_context
from dewar.signals import appcontext_popped, appcontext_pushed

__all__ = [
    "AppContext",
    "RequestContext",
    "_AppCtxGlobals",
    "_cv_app",
    "_cv_request",
    "after_this_request",
    "appcontext_popped",
    "appcontext_pushed",
    "copy_current_request_context",
    "has_app_context",
    "has_request_context",
]


def __getattr__(name: str) -> Any:
    return historic(__name__, name)
