"""Values as JSON text and back. What is read is equal to what was written.

Rules:

1. Types that JSON has (str, int, finite float, bool, None, list, dict with str keys) are written
   as they are.
2. A value of any other type that is known here becomes a dict with one key, its *tag*:
   ``{"$tuple": [1]}``. A user's dict that looks like one, or has keys that are not str, is tagged
   too.
3. Values of unknown types are left to `dumps`; what is read is whatever `dumps` made of them.
4. What would silently come back as something else is refused: a value of a subclass of a known
   type, as one of that type; a time zone that no other process finds; and a text with the two
   halves of a surrogate pair as two characters, which JSON joins.

SECURITY: the text names classes of dataclasses, named tuples and enums. Their modules are imported,
and nothing in them but one of these is ever made. So everybody who can write into the ledger can
import modules and construct dataclasses: protect the ledger as well as the code.
Nothing that comes over HTTP is ever unpacked.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from functools import partial
from typing import Any

from dewar.tasks.errors import Unreadable, Unserializable
from dewar.tasks.serialization.class_names import class_name
from dewar.tasks.serialization.error_text import text_of
from dewar.tasks.serialization.json_types import (
    LEAVES,
    MAX_DEPTH,
    TooDeep,
    find_too_deep,
    is_json,
    parts_of,
)
from dewar.tasks.serialization.tags import (
    MARK,
    NotImportable,
    fields_of,
    form_of,
    tagged,
    untagged,
)
from dewar.tasks.serialization.time_forms import Inexact

#: Halves of a surrogate pair: one, and two in a row.
_HALF = re.compile("[\ud800-\udfff]")
_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

Dumps = Callable[[Any], str]
Loads = Callable[[str], Any]


def ordered_dumps(provider: Any) -> Dumps:
    """Return a function that writes JSON and keeps the order of a dict's keys.

    Args:
        provider: An app's JSON provider, which may sort the keys of answers; or the module `json`.
    """
    if getattr(provider, "sort_keys", False):
        return partial(provider.dumps, sort_keys=False)
    dumps: Dumps = provider.dumps
    return dumps


def pack(value: Any, dumps: Dumps = json.dumps, path: str = "value") -> str:
    """Return a value as JSON text, from which `unpack` makes it again.

    Args:
        value: The value to write.
        dumps: Writes JSON, as an app's provider does. It gets the values of unknown types.
        path: The name of the value in error messages.

    Raises:
        Unserializable: (a `TypeError`) for a part that `dumps` cannot write, for a class that is
            not found by its name, and for a value that is nested too deep or contains itself.
    """
    return _pack(value, value, dumps, path)


def pack_arguments(
    args: Sequence[Any], kwargs: Mapping[str, Any], dumps: Dumps = json.dumps
) -> str:
    """Return the arguments of a call as JSON text.

    It raises the same errors as `pack`, in which a part is named ``arguments.args[0]``.
    """
    # PERF: the usual arguments are a few numbers and texts, and need no closer look.
    is_plain = not kwargs and LEAVES.issuperset(map(type, args))
    named = {"args": args, "kwargs": kwargs}
    return _pack([list(args), dict(kwargs)], named, dumps, "arguments", is_plain=is_plain)


def _pack(value: Any, named: Any, dumps: Dumps, path: str, *, is_plain: bool = False) -> str:
    try:
        return _written(value if is_plain else tagged(value), dumps)
    except TooDeep:
        raise _too_deep(named, path) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise _explained(named, dumps, path, error) from error


def _written(value: Any, dumps: Dumps) -> str:
    text = dumps(value)
    # PERF: two steps in C. Nearly every text ends here.
    if text.isascii() and r"\ud" not in text:
        return text
    if _has_split_pair(value):
        raise ValueError("it has the two halves of a surrogate pair as two characters.")
    # A database takes no lone half. In JSON it can only be in a text, and be escaped there.
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _has_split_pair(value: Any) -> bool:
    if isinstance(value, str):
        return _SPLIT_PAIR.search(value) is not None
    return any(_has_split_pair(part) for _, part in parts_of(value)) or (
        isinstance(value, dict) and any(map(_has_split_pair, value))
    )


def unpack(text: str, loads: Loads = json.loads) -> Any:
    """Return the value that `pack` made a text of.

    Raises:
        Unreadable: (a `ValueError`) if a class no longer exists or fails, if it has not the member
            of the enum, or if `pack` did not make the text.
    """
    try:
        value = loads(text)
        return untagged(value) if f'"{MARK}' in text else value
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(
            f"A stored value cannot be read: {type(error).__name__}: {text_of(error)}. Another"
            " version of the program may have written it."
        ) from error


def unpack_arguments(
    text: str, loads: Loads = json.loads
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that `pack_arguments` made a text of; raises as `unpack`."""
    args, kwargs = unpack(text, loads)
    return tuple(args), kwargs


def plain(value: Any, path: str = "value") -> Any:
    """Return a value in JSON's types only, for other programs: in an answer or a callback.

    Dates and times are ISO 8601, a timedelta its seconds, bytes base64, a Decimal, UUID or path a
    str, tuples and sets lists, dataclasses dicts, a member of an enum its value, and a float that
    is not finite None. Values of unknown types stay as they are.

    Raises:
        Unserializable: If it is nested too deep or contains itself.
    """
    try:
        return value if is_json(value) else _shown(value, 0)
    except TooDeep:
        raise _too_deep(value, path) from None


def _shown(value: Any, depth: int) -> Any:
    if is_json(value, depth):
        return value
    if depth > MAX_DEPTH:
        raise TooDeep
    depth += 1
    if isinstance(value, Enum):
        return _shown(value.value, depth)
    if is_dataclass(value) and not isinstance(value, type):
        value = fields_of(value)
    if isinstance(value, dict):
        return {_shown_key(key): _shown(item, depth) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [_shown(item, depth) for item in value]
    form = form_of(value)
    return value if form is None else form.shown(value)


def _shown_key(key: Any) -> str:
    if isinstance(key, str) and not isinstance(key, Enum):
        return key
    shown = _shown(key, 0)
    # As `json` does it: true, null, 1.
    return json.dumps(shown) if type(shown) is not str and is_json(shown) else str(shown)


def _too_deep(value: Any, path: str) -> Unserializable:
    return Unserializable(*(find_too_deep(value, path) or (path, value, "is nested too deep.")))


def _explained(value: Any, dumps: Dumps, path: str, error: Exception) -> Unserializable:
    """Return the error for the innermost part of a value that alone cannot be written."""
    for step, part in parts_of(value):
        try:
            _written(tagged(part), dumps)
        except TooDeep:
            return _too_deep(value, path)
        except (TypeError, ValueError, OverflowError) as part_error:
            return _explained(part, dumps, path + step, part_error)
    return Unserializable(path, value, _problem(value, error))


def _problem(value: Any, error: Exception) -> str:
    if isinstance(error, NotImportable):
        return (
            f"is of the class {class_name(type(value))}, which is not found by that name. Define it"
            " at the top level of a module, so that another process finds it too."
        )
    if isinstance(error, Inexact):
        return str(error)
    if isinstance(error, TypeError):
        return ""
    return f"cannot be written as JSON: {error}"
