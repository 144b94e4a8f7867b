"""What JSON can say by itself, and how deep a value may go.

PERF: a container is looked at as ``set(map(type, container))``, which runs in C: a list of a
thousand numbers is one step.
"""

from math import isfinite
from typing import Any

#: How many containers may be inside one another. JSON readers begin to refuse at some hundreds,
#: and each level costs some frames of Python here.
MAX_DEPTH = 100

_TEXT = frozenset({str})
_LEAVES = frozenset({str, int, bool, type(None)})
_ALL = _LEAVES | {float, list, dict}


class TooDeep(Exception):  # noqa: N818  # never leaves the package
    """Raised inside for what is nested more than `MAX_DEPTH` deep, as all that contains itself."""


def is_json(value: Any, depth: int = 0, mark: str = "") -> bool:
    """Return whether a value is made of nothing but JSON's own types.

    Args:
        value: What to look at.
        depth: How deep it is inside of others.
        mark: Where it is not empty, a dict whose only key begins so does not count as JSON's.

    Raises:
        TooDeep: If it is nested too deep, or contains itself.
    """
    kind = type(value)
    if kind is dict:
        if set(map(type, value)) - _TEXT or (mark and looks_marked(value, mark)):
            return False
        inside = value.values()
    elif kind is list:
        inside = value
    else:
        return kind in _LEAVES or (kind is float and isfinite(value))
    if depth >= MAX_DEPTH:
        raise TooDeep
    kinds = set(map(type, inside))
    if kinds <= _LEAVES:
        return True
    if not kinds <= _ALL:
        return False
    for item in inside:  # no all(...), which would be a frame of Python more for each level
        if type(item) not in _LEAVES and not is_json(item, depth + 1, mark):
            return False
    return True


def looks_marked(value: dict[Any, Any], mark: str) -> bool:
    """Return whether a dict has one key, and that begins with the mark."""
    if len(value) != 1:
        return False
    (key,) = value
    return isinstance(key, str) and key.startswith(mark)
