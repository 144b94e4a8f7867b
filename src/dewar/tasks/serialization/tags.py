"""Values of types that JSON does not have, as dicts with one key, the tag: ``{"$tuple": [1]}``.

`dewar.tasks.serialization.values` states the rules.
"""

from base64 import b64decode, b64encode
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeGuard
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from dewar.tasks.errors import Unreadable
from dewar.tasks.serialization.class_names import class_name, find_class, import_class
from dewar.tasks.serialization.job_results import (
    ERROR,
    OUTCOME,
    RESULT,
    JobOutcome,
    JobResult,
    read_failure,
    read_unfilled,
)
from dewar.tasks.serialization.json_types import MAX_DEPTH, TooDeep, is_json, looks_marked
from dewar.tasks.serialization.time_forms import (
    Inexact,
    read_datetime,
    read_delta,
    read_time,
    read_zone,
    write_delta,
    write_time,
    write_zone,
)

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


def _id_of(value: JobResult | JobOutcome) -> str:
    return value.id


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None  # JSON has no infinity, and no NaN


#: Types without parts; a subclass comes before its base.
_FORMS = (
    Form("$float", float, float.__repr__, float, _number),
    Form("$bytes", bytes, _text_of, b64decode, _text_of),
    Form("$datetime", datetime, write_time, read_datetime, datetime.isoformat),
    Form("$date", date, date.isoformat, date.fromisoformat, date.isoformat),
    Form("$time", time, write_time, read_time, time.isoformat),
    Form("$timedelta", timedelta, write_delta, read_delta, timedelta.total_seconds),
    Form("$timezone", timezone, write_zone, read_zone, str),
    Form("$zoneinfo", ZoneInfo, write_zone, read_zone, str),
    Form("$uuid", UUID, str, UUID, str),
    Form("$decimal", Decimal, str, Decimal, str),
    Form("$path", type(Path()), str, Path, str),
    Form("$markup", Markup, str, Markup, str),
    Form(RESULT, JobResult, _id_of, read_unfilled, _id_of),
    Form(OUTCOME, JobOutcome, _id_of, read_unfilled, _id_of),
)
_BY_TYPE = MappingProxyType({form.type: form for form in _FORMS})

#: Types with parts, and their tags.
_SEQUENCES: Mapping[type, str] = MappingProxyType(
    {tuple: "$tuple", set: "$set", frozenset: "$frozenset"}
)
_DICTS: Mapping[type, str] = MappingProxyType({OrderedDict: "$ordereddict", Counter: "$counter"})
_UNORDERED = frozenset({"$set", "$frozenset", "$dict", "$counter"})
#: An instance of a subclass of these would come back as one of these.
_BASES = (
    *(str, int, float, complex, list, dict, tuple, set, frozenset, deque),
    *(form.type for form in _FORMS if form.type not in (float, Markup)),
)


def tagged(value: Any, depth: int = 0) -> Any:
    """Return a value with a tag on each part that JSON has no type for.

    Raises:
        NotImportable: For a class that is not found by its name.
        Inexact: For a value of a subclass that would come back as one of the base.
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
    form = _BY_TYPE.get(kind)
    if form is not None:
        return {form.tag: form.write(value)}
    if kind in (list, dict):
        return [tagged(item, depth) for item in value] if kind is list else _dict(value, depth)
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [tagged(item, depth) for item in value]}
    return _tagged_other(value, kind, depth)


def _tagged_other(value: Any, kind: type, depth: int) -> Any:
    """Return the form of a value of a class of a program, or of a rare type."""
    if kind in _DICTS:
        return {_DICTS[kind]: _pairs(value, depth)}
    if kind is deque:
        return {"$deque": [[tagged(item, depth) for item in value], value.maxlen]}
    if _is_named_tuple(kind) and not getattr(value, "__dict__", None):
        _check_found(kind)
        items = {name: tagged(item, depth) for name, item in zip(kind._fields, value, strict=True)}
        return {"$namedtuple": [class_name(kind), items]}
    if isinstance(value, _BASES):
        base = next(base.__name__ for base in _BASES if isinstance(value, base))
        raise Inexact(
            f"is of the class {class_name(kind)}, and would come back as a plain {base}. Turn it"
            f" into one: {base}(value). Or make the class a dataclass that has no such base."
        )
    if is_dataclass(value) and not isinstance(value, type):
        _check_found(kind)
        items = {name: tagged(item, depth) for name, item in fields_of(value).items()}
        return {"$dataclass": [class_name(kind), items]}
    return value


def looks_unordered(written: Mapping[str, Any]) -> bool:
    """Return whether the order of the parts in a tagged value means nothing."""
    return len(written) == 1 and not _UNORDERED.isdisjoint(written)


def _is_named_tuple(kind: Any) -> TypeGuard[type[NamedTuple]]:
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def _dict(value: dict[Any, Any], depth: int) -> Any:
    if set(map(type, value)) <= {str} and not looks_marked(value, MARK):
        return {key: tagged(item, depth) for key, item in value.items()}
    return {"$dict": _pairs(value, depth)}


def _pairs(value: dict[Any, Any], depth: int) -> list[Any]:
    return [[tagged(key, depth), tagged(item, depth)] for key, item in value.items()]


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
    cls: Any = _read_class(name, is_dataclass, "a dataclass")
    values = {key: untagged(item) for key, item in items.items()}
    given = {field.name for field in fields(cls) if field.init} & values.keys()
    try:
        made = cls(**{name: values[name] for name in given})
    except Exception:  # noqa: BLE001  # it takes others, or does not take what it made of them
        made = cls.__new__(cls)  # as pickle does
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


def _read_named_tuple(content: Any) -> Any:
    name, items = content
    cls: Any = _read_class(name, _is_named_tuple, "a named tuple")
    if set(cls._fields) != items.keys():
        raise Unreadable(f"{name!r} has other fields in this process: {', '.join(cls._fields)}.")
    return tuple.__new__(cls, [untagged(items[field]) for field in cls._fields])


def _read_deque(content: Any) -> deque[Any]:
    items, most = content
    return deque(map(untagged, items), most)


def _reader_of(sequence: type) -> Callable[[Any], Any]:
    return lambda content: sequence(map(untagged, content))


_READERS = MappingProxyType(
    {form.tag: form.read for form in _FORMS}
    | {tag: _reader_of(sequence) for sequence, tag in _SEQUENCES.items()}
    | {"$dict": _read_dict, "$enum": _read_enum, "$dataclass": _read_dataclass}
    | {"$namedtuple": _read_named_tuple, "$deque": _read_deque}
    | {ERROR: read_failure}
    | {"$ordereddict": lambda content: OrderedDict(_read_dict(content))}
    | {"$counter": lambda content: Counter(_read_dict(content))}
)


def form_of(value: Any) -> Form | None:
    """Return how the type of a value is written, or None if it is not known here."""
    form = _BY_TYPE.get(type(value))
    return form or next((form for form in _FORMS if isinstance(value, form.type)), None)


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass with their values, without those that are not set."""
    names = [field.name for field in fields(value)]
    return {name: getattr(value, name) for name in names if hasattr(value, name)}


def _check_found(cls: type) -> None:
    """Raise `NotImportable` if a class is not found by its name."""
    if find_class(class_name(cls)) is not cls:
        raise NotImportable
