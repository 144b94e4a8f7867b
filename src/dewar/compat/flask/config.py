"""`flask.config`."""

from dewar.config import Config, ConfigAttribute

__all__ = [
    "Config",
    "ConfigAttribute",
]
