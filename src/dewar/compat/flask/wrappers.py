"""`flask.wrappers`."""

from dewar.messages.request import Request
from dewar.messages.response import Response

__all__ = [
    "Request",
    "Response",
]
