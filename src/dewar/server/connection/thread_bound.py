"""Which response bodies have to be iterated by one thread."""

import gc
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache, partial
from itertools import chain, islice
from types import (
    BuiltinMethodType,
    CellType,
    CodeType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    NoneType,
)
from typing import Any

# Types whose role is kept: looking for it costs a hundred times as much as the rest.
_MOST_TYPES = 512
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
# The program's code, and values without attributes.
_PLAIN = (type, ModuleType, CodeType, str, bytes, int, float, NoneType)

# Modules whose generators only pass on what another iterator gives.
_TRANSPARENT = frozenset({"werkzeug.wrappers.response"})


class Role(Enum):
    """What objects of one type mean for a body that leads to them."""

    BOUND = "they belong to a thread"
    SOURCE = "an iterator may be behind them"
    HOLDER = "an attribute may belong to a thread"
    PLAIN = "they lead nowhere"


def is_thread_bound(pieces: Any) -> bool:
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
    except (RuntimeError, TypeError):
        return True  # another thread has changed a dict meanwhile; a type that has no hash


def _all_behind(pieces: Any) -> Iterator[Any]:
    """Yield *pieces*, and what it may take its items from, directly or not."""
    seen: set[int] = set()
    rest = [pieces]
    while rest:
        subject = rest.pop()
        if id(subject) not in seen:
            seen.add(id(subject))
            yield subject
            rest.extend(chain.from_iterable(map(_followed, _parts(subject))))


def _followed(part: Any) -> Iterable[Any]:
    """Return what to look at of one thing that another refers to."""
    kind: Any = type(part)
    role = _role(kind)
    if role is Role.HOLDER:
        return filter(_is_bound, _attributes(part))
    return () if role is Role.PLAIN else (part,)


@lru_cache(_MOST_TYPES)
def _role(kind: type) -> Role:
    """Return the role of the objects of a type."""
    # sqlite3 is not imported for this: it may be missing.
    if issubclass(kind, (Generator, threading.local)) or any(
        base.__module__ == "sqlite3" for base in kind.__mro__
    ):
        return Role.BOUND
    if issubclass(kind, _PLAIN):
        return Role.PLAIN
    leads_on = hasattr(kind, "__next__") or hasattr(kind, "read")
    return Role.SOURCE if leads_on or issubclass(kind, (*_ITEMS, *_CALLS)) else Role.HOLDER


def _is_bound(subject: Any) -> bool:
    """Return whether *subject* itself belongs to a thread."""
    kind: Any = type(subject)
    if kind is GeneratorType:
        # A generator that has ended runs no more code.
        frame = subject.gi_frame
        return frame is not None and frame.f_globals.get("__name__") not in _TRANSPARENT
    return _role(kind) is Role.BOUND


def _parts(subject: Any) -> Iterable[Any]:
    """Return what *subject* refers to. Its code and the globals of a function are left out."""
    kind = type(subject)
    if kind is FunctionType:
        return [*(subject.__closure__ or ()), *(subject.__defaults__ or ())]
    for base, items in _ITEMS.items():
        if issubclass(kind, base):
            return islice(items(subject), _MOST_ITEMS)
    return gc.get_referents(subject)


def _attributes(subject: object) -> Iterator[object]:
    """Yield the values of the attributes of an object."""
    for part in gc.get_referents(subject):
        if type(part) is dict:
            yield from islice(part.values(), _MOST_ITEMS)
        else:
            yield part
