"""`flask.wrappers`."""

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.wrappers import Request as RequestBase
from werkzeug.wrappers import Response as ResponseBase

from dewar.compat.flask import json
from dewar.globals import current_app
from dewar.messages.request import Request
from dewar.messages.response import Response

__all__ = [
    "BadRequest",
    "HTTPException",
    "Request",
    "RequestBase",
    "Response",
    "ResponseBase",
    "current_app",
    "json",
]
