"""Exceptions as data and back, for processes other than the one that raised them."""

import json
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from dewar.tasks.errors import JobFailed, Unserializable
from dewar.tasks.serialization.class_names import class_name, find_class
from dewar.tasks.serialization.values import Dumps, Loads, pack, unpack

#: Characters of a traceback that are kept. They are its end, where the exception is.
_TRACEBACK = 32768


class RemoteTraceback(Exception):  # noqa: N818  # the name multiprocessing uses
    """The cause of an exception from another process: its traceback, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def describe_error(exception: BaseException, dumps: Dumps = json.dumps) -> dict[str, str | None]:
    """Return a description of an exception, from which `make_error` makes it again.

    It has ``type`` as ``module:qualname``, ``text``, ``traceback``, and ``args`` and ``state``
    (its attributes) as `pack` writes them. Either of these is None if it cannot be written.

    Args:
        exception: The exception.
        dumps: Writes JSON, as an app's provider does.
    """
    args, state = _parts_of(exception)
    return {
        "type": class_name(type(exception)),
        "text": _text_of(exception),
        "traceback": _traceback_of(exception)[-_TRACEBACK:],
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
    return made if type(made) is cls and _text_of(made) == text else None


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
    return made if type(made) is cls and _text_of(made) == text else None


def _parts_of(exception: BaseException) -> tuple[Any, Any]:
    """Return the arguments from which a copy would be made, and the attributes."""
    try:
        reduced = exception.__reduce__()
    except Exception:  # noqa: BLE001  # a __reduce__ of the user's that fails
        reduced = ""
    is_made_so = isinstance(reduced, tuple) and reduced[0] is type(exception)
    return (reduced[1] if is_made_so else exception.args), vars(exception)


def _traceback_of(exception: BaseException) -> str:
    """Return the formatted traceback, or "" for an error that was never raised.

    Such an error has no frames, and needs no remote cause.
    """
    was_raised = exception.__traceback__ is not None
    has_reason = exception.__cause__ is not None or exception.__context__ is not None
    if was_raised or has_reason or isinstance(exception, BaseExceptionGroup):
        return "".join(traceback.format_exception(exception))
    return ""


def _maybe_pack(value: Any, dumps: Dumps) -> str | None:
    try:
        return pack(value, dumps)
    except Unserializable:
        return None


def _text_of(exception: BaseException) -> str:
    try:
        return str(exception)
    except Exception:  # noqa: BLE001  # a __str__ of the user's that fails
        return f"<{type(exception).__name__} whose text cannot be made: {sys.exception()!r}>"
