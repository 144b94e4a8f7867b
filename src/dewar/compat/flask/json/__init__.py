"""`flask.json`."""

from dewar.globals import current_app
from dewar.json import dump, dumps, jsonify, load, loads
from dewar.json.provider import to_jsonable as _default

__all__ = [
    "_default",
    "current_app",
    "dump",
    "dumps",
    "jsonify",
    "load",
    "loads",
]
