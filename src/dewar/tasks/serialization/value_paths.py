"""The way to a part of a value, as people write it: ``result.rows[3].owner``."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

from dewar.tasks.serialization.json_types import MAX_DEPTH

#: Characters of a path that say enough.
_SHOWN = 100


def find_too_deep(
    value: Any, path: str, above: tuple[Any, ...] = ()
) -> tuple[str, Any, str] | None:
    """Return the first place that is too deep: its path, what is there, and what is wrong.

    Args:
        value: What to look at.
        path: What it is called.
        above: The containers that it is in.
    """
    if any(value is container for container in above):
        return path, value, "contains itself, which JSON cannot say."
    if len(above) > MAX_DEPTH:
        problem = f"is more than {MAX_DEPTH} containers deep, which is all that it may be."
        return f"{path[:_SHOWN]}...", value, problem
    for step, item in parts_of(value):
        found = find_too_deep(item, path + step, (*above, value))
        if found is not None:
            return found
    return None


def parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is right inside a value, each with the step that leads to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield f" (the key {key!r})", key
            yield _step(key), item
    elif isinstance(value, (list, tuple)):
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
