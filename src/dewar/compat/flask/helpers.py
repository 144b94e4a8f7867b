"""`flask.helpers`."""

from werkzeug.exceptions import abort as _wz_abort
from werkzeug.utils import redirect as _wz_redirect

from dewar.contexts.legacy import app_cell as _cv_app
from dewar.contexts.legacy import request_cell as _cv_request
from dewar.contexts.streaming import stream_with_context
from dewar.environment import debug_flag as get_debug_flag
from dewar.environment import skips_dotenv
from dewar.files import send_file, send_from_directory
from dewar.globals import current_app, request, request_ctx, session
from dewar.helpers import abort, flash, get_flashed_messages, make_response, redirect, url_for
from dewar.messages.request import split_blueprint_path as _split_blueprint_path
from dewar.registration.packages import root_path_of as get_root_path
from dewar.signals import message_flashed
from dewar.templating import get_template_attribute

__all__ = [
    "_cv_app",
    "_cv_request",
    "_split_blueprint_path",
    "_wz_abort",
    "_wz_redirect",
    "abort",
    "current_app",
    "flash",
    "get_debug_flag",
    "get_flashed_messages",
    "get_load_dotenv",
    "get_root_path",
    "get_template_attribute",
    "make_response",
    "message_flashed",
    "redirect",
    "request",
    "request_ctx",
    "send_file",
    "send_from_directory",
    "session",
    "stream_with_context",
    "url_for",
]


def get_load_dotenv(default: bool = True) -> bool:
    """Whether ``.env`` files are read."""
    return default and not skips_dotenv()
