"""Values of types that JSON does not have, as dicts with one key, the tag: ``{"$tuple": [1]}``.

`dewar.tasks.serialization.values` states the rules.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from dewar.tasks.errors import Unreadable
from dewar.tasks.serialization.class_names import class_name, find_class, import_class
from dewar.tasks.serialization.json_types import MAX_DEPTH, TooDeep, is_json, looks_marked

#: The first character of a tag. JSON never escapes it, so a text without it has no tag.
MARK = "$"


class Form(NamedTuple):
    """How a type is written and read. `shown` makes its public form, which is never read back."""

    tag: str
    type: type
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    shown: Callable[[Any], Any]


class NotImportable(TypeError):  # noqa: N818  # never leaves the package
    """Raised inside for a class that another process would not find by its name."""


def _text_of(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _parts_of(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _delta(parts: Sequence[int]) -> timedelta:
    return timedelta(*parts)


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None  # JSON has no infinity, and no NaN


#: Types without parts; a subclass comes before its base.
_FORMS = (
    Form("$float", float, float.__repr__, float, _number),
    Form("$bytes", bytes, _text_of, b64decode, _text_of),
    Form("$datetime", datetime, datetime.isoformat, datetime.fromisoformat, datetime.isoformat),
    Form("$date", date, date.isoformat, date.fromisoformat, date.isoformat),
    Form("$time", time, time.isoformat, time.fromisoformat, time.isoformat),
    Form("$timedelta", timedelta, _parts_of, _delta, timedelta.total_seconds),
    Form("$uuid", UUID, str, UUID, str),
    Form("$decimal", Decimal, str, Decimal, str),
    Form("$path", Path, str, Path, str),
)
_BY_TYPE = MappingProxyType({form.type: form for form in _FORMS})

#: Types with parts, and their tags.
_SEQUENCES = (("$tuple", tuple), ("$set", set), ("$frozenset", frozenset))


def tagged(value: Any, depth: int = 0) -> Any:
    """Return a value with a tag on each part that JSON has no type for.

    Raises:
        NotImportable: For a class that is not found by its name.
        TooDeep: If it is nested too deep or contains itself.
    """
    if is_json(value, depth, MARK):
        return value
    if depth > MAX_DEPTH:
        raise TooDeep
    depth += 1
    kind = type(value)
    if isinstance(value, Enum):
        return {"$enum": _enum_parts(value)}
    if is_dataclass(value) and not isinstance(value, type):
        _check_found(kind)
        items = {name: tagged(item, depth) for name, item in fields_of(value).items()}
        return {"$dataclass": [class_name(kind), items]}
    if isinstance(value, dict):
        return _tagged_dict(value, depth)
    if isinstance(value, list):
        return [tagged(item, depth) for item in value]
    for tag, sequence in _SEQUENCES:
        if isinstance(value, sequence):
            return {tag: [tagged(item, depth) for item in value]}
    form = form_of(value)
    return value if form is None else {form.tag: form.write(value)}


def _tagged_dict(value: dict[Any, Any], depth: int) -> Any:
    if set(map(type, value)) <= {str} and not looks_marked(value, MARK):
        return {key: tagged(item, depth) for key, item in value.items()}
    return {"$dict": [[tagged(key, depth), tagged(item, depth)] for key, item in value.items()]}


def untagged(value: Any) -> Any:
    """Return the value that `tagged` was called with.

    Raises:
        Unreadable: For an unknown tag, and for a class that has changed. Any other exception also
            means that `tagged` did not make it.
    """
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not looks_marked(value, MARK):
        return {key: untagged(item) for key, item in value.items()}
    ((tag, content),) = value.items()
    read = _READERS.get(tag)
    if read is None:
        raise Unreadable(f"{tag!r} is not a tag of this version of Dewar. A newer one wrote it.")
    return read(content)


def _read_class(name: str, is_right: Callable[[type], bool], what: str) -> type:
    cls = import_class(name)
    if not is_right(cls):
        raise Unreadable(
            f"{name!r} is not {what} in this process, and no other class is made from the ledger."
        )
    return cls


def _read_dataclass(content: Any) -> Any:
    name, items = content
    cls = _read_class(name, is_dataclass, "a dataclass")
    values = {key: untagged(item) for key, item in items.items()}
    try:
        made = cls(**{field.name: values[field.name] for field in fields(cls) if field.init})
    except (TypeError, KeyError):  # its constructor takes other arguments; pickle skips it too
        made = object.__new__(cls)
    # The packed values are those after __post_init__.
    for key, item in values.items():
        object.__setattr__(made, key, item)
    return made


def _enum_parts(value: Enum) -> list[Any]:
    kind = type(value)
    _check_found(kind)
    # Several members of a Flag together have a value but no name.
    known = value.name in kind.__members__
    return [class_name(kind), value.name if known else value.value]


def _read_enum(content: Any) -> Any:
    name, member = content
    cls: Any = _read_class(name, lambda cls: issubclass(cls, Enum), "an enum")
    return cls[member] if isinstance(member, str) else cls(member)


def _read_dict(content: Any) -> dict[Any, Any]:
    return {untagged(key): untagged(item) for key, item in content}


def _reader_of(sequence: type) -> Callable[[Any], Any]:
    return lambda content: sequence(map(untagged, content))


_READERS = MappingProxyType(
    {form.tag: form.read for form in _FORMS}
    | {tag: _reader_of(sequence) for tag, sequence in _SEQUENCES}
    | {"$dict": _read_dict, "$enum": _read_enum, "$dataclass": _read_dataclass}
)


def form_of(value: Any) -> Form | None:
    """Return how the type of a value is written, or None if it is not known here."""
    form = _BY_TYPE.get(type(value))
    return form or next((form for form in _FORMS if isinstance(value, form.type)), None)


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass with their values."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _check_found(cls: type) -> None:
    """Raise `NotImportable` if a class is not found by its name."""
    if find_class(class_name(cls)) is not cls:
        raise NotImportable
