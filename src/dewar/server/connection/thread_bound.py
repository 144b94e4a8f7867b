"""Which response bodies have to be iterated by one thread."""

import gc
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from types import (
    BuiltinMethodType,
    CellType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    MethodType,
    MethodWrapperType,
)
from typing import Any

# Items looked at in one container, and objects in all. A body with more behind it stays on its
# thread, which is always right.
_MOST_ITEMS = 64
_MOST_OBJECTS = 512

# The containers that may hold iterators, and their items, whatever a subclass does.
_ITEMS: Mapping[type, Callable[[Any], Iterable[object]]] = MappingProxyType(
    {tuple: tuple.__iter__, list: list.__iter__, dict: dict.values}
)
# Through these an iterator calls another one.
_CALLS = (partial, MethodType, BuiltinMethodType, MethodWrapperType, FunctionType, CellType)

# Modules whose generators only pass on what another iterator gives.
_TRANSPARENT = frozenset({"werkzeug.wrappers.response"})


def is_thread_bound(pieces: object) -> bool:
    """Return whether only the thread that began to iterate over *pieces* may go on.

    It is so for a generator, which may have opened a database connection or written to a
    `threading.local`, and for whatever iterates over one. The iterators behind *pieces* are found
    through their attributes, without running any of their code.
    """
    try:
        return any(
            number > _MOST_OBJECTS or _is_bound(subject)
            for number, subject in enumerate(_all_behind(pieces))
        )
    except RuntimeError:  # another thread has changed a dict meanwhile
        return True


def _all_behind(pieces: object) -> Iterator[object]:
    """Yield *pieces*, and what it may take its items from, directly or not."""
    seen: set[int] = set()
    rest = [pieces]
    while rest:
        subject = rest.pop()
        if id(subject) not in seen:
            seen.add(id(subject))
            yield subject
            rest.extend(part for part in _parts(subject) if _leads_on(part))


def _is_bound(subject: object) -> bool:
    """Return whether *subject* itself belongs to a thread."""
    kind = type(subject)
    if kind is GeneratorType:
        # A generator that has ended runs no more code.
        frame = subject.gi_frame  # type: ignore[attr-defined]
        return frame is not None and frame.f_globals.get("__name__") not in _TRANSPARENT
    # sqlite3 is not imported for this: it may be missing.
    return issubclass(kind, (Generator, threading.local)) or any(
        base.__module__ == "sqlite3" for base in kind.__mro__
    )


def _leads_on(part: object) -> bool:
    """Return whether an iterator may be *part*, or be behind it. Other attributes are not."""
    kind = type(part)
    return (
        hasattr(kind, "__next__")
        or hasattr(kind, "read")
        or issubclass(kind, (*_ITEMS, *_CALLS))
        or _is_bound(part)
    )


def _parts(subject: Any) -> Iterable[object]:
    """Return what *subject* refers to. Its code and the globals of a function are left out."""
    kind = type(subject)
    if kind is FunctionType:
        return [*(subject.__closure__ or ()), *(subject.__defaults__ or ())]
    for base, items in _ITEMS.items():
        if issubclass(kind, base):
            return islice(items(subject), _MOST_ITEMS)
    return gc.get_referents(subject)
