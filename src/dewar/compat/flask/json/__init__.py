"""`flask.json`."""

from dewar.globals import current_app
from dewar.json import dump, dumps, jsonify, load, loads

__all__ = [
    "current_app",
    "dump",
    "dumps",
    "jsonify",
    "load",
    "loads",
]
