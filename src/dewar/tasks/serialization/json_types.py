"""The types that JSON has, how deep a value may go, and the path to a part of it.

PERF: a container is checked as ``set(map(type, container))``, which runs in C: a list of a
thousand numbers is one step.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

#: How many containers may be inside one another. JSON readers begin to refuse at some hundreds,
#: and each level costs some frames of Python here.
MAX_DEPTH = 100

#: The types without parts that JSON has and always writes; a float may be infinite.
LEAVES = frozenset({str, int, bool, type(None)})
_TEXT = frozenset({str})
_ALL = LEAVES | {float, list, dict}
#: Characters of a path that an error shows.
_SHOWN = 100


class TooDeep(Exception):  # noqa: N818  # never leaves the package
    """Raised inside for a value that is nested too deep, such as one that contains itself."""


def is_json(value: Any, depth: int = 0, mark: str = "") -> bool:
    """Return whether a value consists of JSON's own types only.

    Args:
        value: The value.
        depth: How many containers it is inside.
        mark: If not empty, a dict whose only key begins with it does not count as JSON.

    Raises:
        TooDeep: If it is nested too deep or contains itself.
    """
    kind = type(value)
    if kind is dict:
        if set(map(type, value)) - _TEXT or (mark and looks_marked(value, mark)):
            return False
        inside = value.values()
    elif kind is list:
        inside = value
    else:
        return kind in LEAVES or (kind is float and isfinite(value))
    if depth >= MAX_DEPTH:
        raise TooDeep
    kinds = set(map(type, inside))
    if kinds <= LEAVES:
        return True
    if not kinds <= _ALL:
        return False
    for item in inside:  # all(...) would add a frame of Python for each level
        if type(item) not in LEAVES and not is_json(item, depth + 1, mark):
            return False
    return True


def looks_marked(value: dict[Any, Any], mark: str) -> bool:
    """Return whether a dict has a single key that begins with the mark."""
    if len(value) != 1:
        return False
    (key,) = value
    return isinstance(key, str) and key.startswith(mark)


def find_too_deep(
    value: Any, path: str, above: tuple[Any, ...] = ()
) -> tuple[str, Any, str] | None:
    """Return the first part that is too deep: its path, the part, and the problem.

    Args:
        value: The value.
        path: The path to it.
        above: The containers it is inside.
    """
    if any(value is container for container in above):
        return path, value, "contains itself, which JSON cannot express."
    if len(above) > MAX_DEPTH:
        problem = f"is more than {MAX_DEPTH} containers deep, which is the limit."
        return f"{path[:_SHOWN]}...", value, problem
    for step, item in parts_of(value):
        found = find_too_deep(item, path + step, (*above, value))
        if found is not None:
            return found
    return None


def parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the direct parts of a value, each with its step of the path: ``[3]``, ``.owner``."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f" (the key {key!r})", key
            yield _step(key), item
    elif isinstance(value, (list, tuple, deque)):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif isinstance(value, AbstractSet):
        for item in value:
            yield "[*]", item
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield f".{field.name}", getattr(value, field.name, None)


def _step(key: Any) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
