"""Exceptions as data and back, for processes other than the one that raised them."""

import json
from collections.abc import Mapping
from typing import Any

from dewar.tasks.errors import JobFailed
from dewar.tasks.serialization.class_names import class_name, find_class
from dewar.tasks.serialization.error_text import text_of, traceback_of
from dewar.tasks.serialization.values import Dumps, Loads, pack, unpack

#: Up to how many characters the arguments or the attributes of an exception are kept: it may hold
#: a whole response.
_PARTS = 1 << 20


class RemoteTraceback(Exception):  # noqa: N818  # the name multiprocessing uses
    """The cause of an exception from another process: its traceback, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def describe_error(exception: BaseException, dumps: Dumps = json.dumps) -> dict[str, str | None]:
    """Return a description of an exception, from which `make_error` makes it again.

    It has ``type`` as ``module:qualname``, ``text``, ``traceback``, and ``args`` and ``state``
    (its attributes) as `pack` writes them. Either of these is None if it cannot be written, or is
    too long. It never fails, whatever the exception's own methods do.

    Args:
        exception: The exception.
        dumps: Writes JSON, as an app's provider does.
    """
    args, state = _parts_of(exception)
    return {
        "type": class_name(type(exception)),
        "text": text_of(exception),
        "traceback": traceback_of(exception),
        "args": _maybe_pack(args, dumps),
        "state": _maybe_pack(state, dumps),
    }


def make_error(description: Mapping[str, Any], loads: Loads = json.loads) -> Exception:
    """Return an exception like the described one. Its cause is the remote traceback.

    It has the same class if that is an `Exception`, its module is already imported, and the new
    exception has the same text; otherwise it is a `JobFailed`. No module is imported to find the
    class. Parts that cannot be read are ignored.

    Args:
        description: The value that `describe_error` returned.
        loads: Reads JSON, as an app's provider does.
    """
    kind, text = str(description["type"]), str(description["text"])
    remote = str(description.get("traceback") or "")
    error = _maybe_make(kind, text, description, loads) or JobFailed(kind, text, remote)
    error.__cause__ = RemoteTraceback(remote) if remote else None
    return error


def _maybe_make(
    kind: str, text: str, description: Mapping[str, Any], loads: Loads
) -> Exception | None:
    cls = find_class(kind)
    if cls is None or not issubclass(cls, Exception) or description.get("args") is None:
        return None
    try:
        args = unpack(description["args"], loads)
        state = unpack(description["state"], loads) if description.get("state") else None
    except Exception:  # noqa: BLE001  # `pack` did not make it, or the constructor of a class in it fails
        return None
    return _maybe_call(cls, args, state, text) or _maybe_restore(cls, args, state, text)


def _maybe_call(cls: type[Exception], args: Any, state: Any, text: str) -> Exception | None:
    """Make it by its constructor, if that takes the `args`."""
    try:
        made = cls(*args)
        vars(made).update(state or {})
    except Exception:  # noqa: BLE001  # anything its constructor may raise
        return None
    return made if type(made) is cls and text_of(made) == text else None


def _maybe_restore(cls: type[Exception], args: Any, state: Any, text: str) -> Exception | None:
    """Make it without its constructor, which takes other arguments than the `args`."""
    if state is None:
        return None
    try:
        made = cls.__new__(cls, *args)
        made.args = args
        vars(made).update(state)
    except Exception:  # noqa: BLE001  # anything its class may raise
        return None
    return made if type(made) is cls and text_of(made) == text else None


def _parts_of(exception: BaseException) -> tuple[Any, Any]:
    """Return the arguments from which a copy would be made, and the attributes."""
    try:
        made = exception.__reduce__()
    except BaseException:  # noqa: BLE001  # a __reduce__ of the user's that fails
        made = ""
    is_made_so = isinstance(made, tuple) and len(made) > 1 and made[0] is type(exception)
    return (made[1] if is_made_so else exception.args), vars(exception)


def _maybe_pack(value: Any, dumps: Dumps) -> str | None:
    try:
        text = pack(value, dumps)
    except BaseException:  # noqa: BLE001  # also what the value's own methods raise
        return None
    return text if len(text) <= _PARTS else None
