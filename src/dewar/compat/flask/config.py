"""`flask.config`."""

from werkzeug.utils import import_string

from dewar.config import Config, ConfigAttribute

__all__ = [
    "Config",
    "ConfigAttribute",
    "import_string",
]
