"""`flask.json.provider`."""

from werkzeug.http import http_date

from dewar.json.provider import DefaultJSONProvider, JSONProvider
from dewar.json.provider import to_jsonable as _default

__all__ = [
    "DefaultJSONProvider",
    "JSONProvider",
    "_default",
    "http_date",
]
