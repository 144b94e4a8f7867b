"""JSON functions that use the current app's provider.

They have the names and arguments of the standard library's `json`. In an app context they call
`app.json`, otherwise the standard library. Dates, UUIDs, decimals and dataclasses can be written
in both cases.
"""

import json as _json
from typing import IO, Any

from werkzeug.wrappers import Response

from dewar.contexts.current import current, maybe_current
from dewar.json.provider import to_jsonable

__all__ = ["dump", "dumps", "jsonify", "load", "loads"]


def dumps(obj: Any, **kwargs: Any) -> str:
    """Return `obj` as JSON text."""
    context = maybe_current()
    if context is not None:
        text: str = context.app.json.dumps(obj, **kwargs)
        return text
    kwargs.setdefault("default", to_jsonable)
    return _json.dumps(obj, **kwargs)


def dump(obj: Any, fp: IO[str], **kwargs: Any) -> None:
    """Write `obj` as JSON text to a file."""
    context = maybe_current()
    if context is not None:
        context.app.json.dump(obj, fp, **kwargs)
        return
    kwargs.setdefault("default", to_jsonable)
    _json.dump(obj, fp, **kwargs)


def loads(s: str | bytes, **kwargs: Any) -> Any:
    """Return the value parsed from JSON text."""
    context = maybe_current()
    reader = _json if context is None else context.app.json
    return reader.loads(s, **kwargs)


def load(fp: IO[Any], **kwargs: Any) -> Any:
    """Return the value parsed from a JSON file."""
    context = maybe_current()
    reader = _json if context is None else context.app.json
    return reader.load(fp, **kwargs)


def jsonify(*args: Any, **kwargs: Any) -> Response:
    """Return a JSON response of one value, of several as a list, or of keywords as an object."""
    response: Response = current().app.json.response(*args, **kwargs)
    return response
