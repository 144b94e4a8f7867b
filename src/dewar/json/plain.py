"""The values that JSON writes as they are: no tag has to be looked for, for them and in them."""

from collections.abc import Callable, Container
from typing import Any

#: Not their subclasses, which may have an ``__html__`` method.
SCALARS = frozenset({str, int, float, bool, type(None)})


def needs_tags(value: Any, tags: Container[str]) -> bool:
    """Whether a shipped tag may be for a value, or for anything in it.

    Args:
        value: The value.
        tags: The keys of the tags, for a dict that looks like one.
    """
    kind = type(value)
    if kind is dict:
        if len(value) == 1 and next(iter(value)) in tags:
            return True
        items = value.values()
    elif kind is list:
        items = value
    else:
        return kind not in SCALARS
    if SCALARS.issuperset(map(type, items)):
        return False
    return any(needs_tags(item, tags) for item in items)


def untag_all(value: Any, untag: Callable[[dict[str, Any]], Any]) -> Any:
    """Return a copy of a value with what `untag` makes of each dict in it, the inner ones first."""
    # PERF: the items of most values are scalars, which are never tags.
    if isinstance(value, dict):
        if SCALARS.issuperset(map(type, value.values())):
            return untag({**value})
        return untag({key: untag_all(item, untag) for key, item in value.items()})
    if isinstance(value, list):
        if SCALARS.issuperset(map(type, value)):
            return [*value]
        return [untag_all(item, untag) for item in value]
    return value
