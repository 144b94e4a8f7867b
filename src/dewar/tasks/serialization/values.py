"""Values as JSON text and back: what goes into the ledger comes out of it as it was.

Three rules:

1. What JSON has (str, int, finite float, bool, None, list, dict with str keys) stands for itself.
2. Any other type that is known here becomes a dict with one key, its *tag*: ``{"$tuple": [1]}``.
   A dict of the user's that looks like one, or has keys that are not str, is itself tagged.
3. What is not known here is left to `dumps`, and comes back as whatever that has made of it. A
   value of a subclass comes back as one of the class that is known.

SECURITY: the text names classes, of dataclasses and enums. Their modules are imported, and of
what is in them nothing but a dataclass or a member of an enum is ever made. Whoever may write
into the ledger can therefore have modules imported and dataclasses constructed: keep it as well
as the code. Nothing that comes over HTTP is ever unpacked.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from dewar.tasks.errors import Unreadable, Unserializable
from dewar.tasks.serialization.class_names import class_name, find_class, import_class
from dewar.tasks.serialization.json_types import MAX_DEPTH, TooDeep, is_json, looks_marked
from dewar.tasks.serialization.value_paths import find_too_deep, parts_of

Dumps = Callable[[Any], str]
Loads = Callable[[str], Any]

#: What a tag begins with. JSON escapes it nowhere, so that text without it has no tag.
_MARK = "$"


class _Form(NamedTuple):
    """How a type is written, and read; `shown` is its public form, which nobody reads back."""

    tag: str
    type: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    shown: Callable[[Any], Any]


def _text_of(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _parts_of(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _delta(parts: Sequence[int]) -> timedelta:
    return timedelta(*parts)


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None  # JSON has no infinity, and no NaN


#: Types without parts; a subclass stands before its base.
_FORMS = (
    _Form("$float", float, float.__repr__, float, _number),
    _Form("$bytes", bytes, _text_of, b64decode, _text_of),
    _Form("$datetime", datetime, datetime.isoformat, datetime.fromisoformat, datetime.isoformat),
    _Form("$date", date, date.isoformat, date.fromisoformat, date.isoformat),
    _Form("$time", time, time.isoformat, time.fromisoformat, time.isoformat),
    _Form("$timedelta", timedelta, _parts_of, _delta, timedelta.total_seconds),
    _Form("$uuid", UUID, str, UUID, str),
    _Form("$decimal", Decimal, str, Decimal, str),
    _Form("$path", Path, str, Path, str),
)
_BY_TYPE = MappingProxyType({form.type: form for form in _FORMS})

#: Types of parts, with their tags.
_SEQUENCES = (("$tuple", tuple), ("$set", set), ("$frozenset", frozenset))


def pack(value: Any, dumps: Dumps = json.dumps, path: str = "value") -> str:
    """Return a value as JSON text, from which `unpack` makes it again.

    Args:
        value: What to write.
        dumps: Writes JSON, as an app's provider does; it gets the values that are unknown here.
        path: What messages call the value.

    Raises:
        Unserializable: (a `TypeError`) for a part that `dumps` cannot write, for a class that is
            not found where its name says, and for what is nested too deep or contains itself.
    """
    return _pack(value, value, dumps, path)


def pack_arguments(
    args: Sequence[Any], kwargs: Mapping[str, Any], dumps: Dumps = json.dumps
) -> str:
    """Return the arguments of a call as JSON text; raises as `pack`, with ``arguments.args[0]``."""
    named = {"args": args, "kwargs": kwargs}
    return _pack([list(args), dict(kwargs)], named, dumps, "arguments")


def _pack(value: Any, named: Any, dumps: Dumps, path: str) -> str:
    try:
        return dumps(value if is_json(value, mark=_MARK) else _tagged(value, 0))
    except TooDeep:
        raise _too_deep(named, path) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise _explained(named, dumps, path, error) from error


def unpack(text: str, loads: Loads = json.loads) -> Any:
    """Return the value that `pack` gave the text for.

    Raises:
        Unreadable: (a `ValueError`) where a class is gone, or the text is not of `pack`'s making.
    """
    value = loads(text)
    if f'"{_MARK}' not in text:
        return value
    try:
        return _untagged(value)
    except Unreadable:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise Unreadable(f"What is kept of a value cannot be read: {error}") from error


def unpack_arguments(
    text: str, loads: Loads = json.loads
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that `pack_arguments` gave the text for; raises as `unpack`."""
    args, kwargs = unpack(text, loads)
    return tuple(args), kwargs


def plain(value: Any, path: str = "value") -> Any:
    """Return a value as other programs get it, in an answer or a callback, of JSON's types only.

    Dates and times are ISO 8601, a timedelta its seconds, bytes base64, a Decimal, UUID or path a
    str, tuples and sets lists, dataclasses dicts, a member of an enum its value, and what is no
    finite number None. Types that are unknown here are left as they are.

    Raises:
        Unserializable: If it is nested too deep, or contains itself.
    """
    try:
        return value if is_json(value) else _shown(value, 0)
    except TooDeep:
        raise _too_deep(value, path) from None


def _tagged(value: Any, depth: int) -> Any:
    if is_json(value, depth, _MARK):
        return value
    if depth > MAX_DEPTH:
        raise TooDeep
    depth += 1
    kind = type(value)
    if isinstance(value, Enum):
        return {"$enum": _enum_parts(value)}
    if is_dataclass(value) and not isinstance(value, type):
        _check_found(kind)
        items = {name: _tagged(item, depth) for name, item in _fields_of(value).items()}
        return {"$dataclass": [class_name(kind), items]}
    if isinstance(value, dict):
        return _tagged_dict(value, depth)
    if isinstance(value, list):
        return [_tagged(item, depth) for item in value]
    for tag, sequence in _SEQUENCES:
        if isinstance(value, sequence):
            return {tag: [_tagged(item, depth) for item in value]}
    form = _form_of(value)
    return value if form is None else {form.tag: form.write(value)}


def _tagged_dict(value: dict[Any, Any], depth: int) -> Any:
    if set(map(type, value)) <= {str} and not looks_marked(value, _MARK):
        return {key: _tagged(item, depth) for key, item in value.items()}
    return {"$dict": [[_tagged(key, depth), _tagged(item, depth)] for key, item in value.items()]}


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not looks_marked(value, _MARK):
        return {key: _untagged(item) for key, item in value.items()}
    ((tag, content),) = value.items()
    read = _READERS.get(tag)
    if read is None:
        raise Unreadable(f"{tag!r} is no tag of this version's; a newer one has written it.")
    return read(content)


def _read_class(name: str, is_right: Callable[[type], bool], what: str) -> type:
    cls = import_class(name)
    if not is_right(cls):
        raise Unreadable(f"{name!r} is {what} no longer; nothing else is made from the ledger.")
    return cls


def _read_dataclass(content: Any) -> Any:
    name, items = content
    cls = _read_class(name, is_dataclass, "a dataclass")
    values = {key: _untagged(item) for key, item in items.items()}
    try:
        made = cls(**{field.name: values[field.name] for field in fields(cls) if field.init})
    except (TypeError, KeyError):  # its constructor takes something else: as pickle makes it
        made = object.__new__(cls)
    # What __post_init__ has changed was changed already when it was packed.
    for key, item in values.items():
        object.__setattr__(made, key, item)
    return made


def _enum_parts(value: Enum) -> list[Any]:
    kind = type(value)
    _check_found(kind)
    # Several members of a Flag together have a value, but no name of their own.
    known = value.name in kind.__members__
    return [class_name(kind), value.name if known else value.value]


def _read_enum(content: Any) -> Any:
    name, member = content
    cls: Any = _read_class(name, lambda cls: issubclass(cls, Enum), "an enum")
    return cls[member] if isinstance(member, str) else cls(member)


def _read_dict(content: Any) -> dict[Any, Any]:
    return {_untagged(key): _untagged(item) for key, item in content}


def _reader_of(sequence: type) -> Callable[[Any], Any]:
    return lambda content: sequence(map(_untagged, content))


_READERS = MappingProxyType(
    {form.tag: form.read for form in _FORMS}
    | {tag: _reader_of(sequence) for tag, sequence in _SEQUENCES}
    | {"$dict": _read_dict, "$enum": _read_enum, "$dataclass": _read_dataclass}
)


def _shown(value: Any, depth: int) -> Any:
    if is_json(value, depth):
        return value
    if depth > MAX_DEPTH:
        raise TooDeep
    depth += 1
    if isinstance(value, Enum):
        return _shown(value.value, depth)
    if is_dataclass(value) and not isinstance(value, type):
        value = _fields_of(value)
    if isinstance(value, dict):
        return {_shown_key(key): _shown(item, depth) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shown(item, depth) for item in value]
    form = _form_of(value)
    return value if form is None else form.shown(value)


def _shown_key(key: Any) -> str:
    if isinstance(key, str) and not isinstance(key, Enum):
        return key
    shown = _shown(key, 0)
    # As `json` does it: true, null, 1.
    return json.dumps(shown) if type(shown) is not str and is_json(shown) else str(shown)


def _form_of(value: Any) -> _Form | None:
    form = _BY_TYPE.get(type(value))
    return form or next((form for form in _FORMS if isinstance(value, form.type)), None)


def _fields_of(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


class _NotFound(TypeError):  # noqa: N818  # never leaves this file
    """Raised inside for a class that others would not find by its name."""


def _check_found(cls: type) -> None:
    """Raise `_NotFound` where a class is not found by its name."""
    if find_class(class_name(cls)) is not cls:
        raise _NotFound


def _too_deep(value: Any, path: str) -> Unserializable:
    return Unserializable(*(find_too_deep(value, path) or (path, value, "is nested too deep.")))


def _explained(value: Any, dumps: Dumps, path: str, error: Exception) -> Unserializable:
    """Return the error for the innermost part of a value that cannot be written by itself."""
    for step, part in parts_of(value):
        try:
            dumps(_tagged(part, 0))
        except TooDeep:
            return _too_deep(value, path)
        except (TypeError, ValueError, OverflowError) as its_error:
            return _explained(part, dumps, path + step, its_error)
    return Unserializable(path, value, _problem(value, error))


def _problem(value: Any, error: Exception) -> str:
    if isinstance(error, _NotFound):
        return (
            f"is of the class {class_name(type(value))}, which is not found by that name. Define it"
            " at the top of a module, where another process finds it too."
        )
    if isinstance(error, TypeError):
        return ""
    return f"cannot be written as JSON: {error}"
