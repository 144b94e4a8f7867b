"""`flask.debughelpers`."""

from dewar.messages.errors import DebugFilesKeyError
from dewar.routing.errors import FormDataRoutingRedirect

__all__ = [
    "DebugFilesKeyError",
    "FormDataRoutingRedirect",
]
