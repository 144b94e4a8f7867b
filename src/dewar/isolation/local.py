"""`Local`: attributes with a separate value in each thread, greenlet and task."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import count
from typing import Any
from weakref import ref

from dewar.errors import UnboundError
from dewar.isolation.owner import Owner, current_ident, current_owner
from dewar.isolation.proxy import LocalProxy

_NOTHING: dict[str, Any] = {}


class _Values(dict[str, Any]):
    """One owner's names and values. It is not changed once it is set: contexts share it."""

    __slots__ = ("__weakref__", "owner")

    owner: Owner


class _LiveValues:
    """Finds the values that live contexts hold, without keeping them alive.

    Threads add and prune at any time, so each step is a single dict operation, and no key is used
    twice. Dead references are removed when the dict has doubled since the last removal.
    """

    __slots__ = ("_keys", "_prune_at", "_refs")

    def __init__(self) -> None:
        self._refs: dict[int, ref[_Values]] = {}
        self._keys = count()
        self._prune_at = 64

    def add(self, values: _Values) -> None:
        self._refs[next(self._keys)] = ref(values)
        if len(self._refs) >= self._prune_at:
            self._prune()

    def snapshot(self) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        # In the order in which they were set: an owner's newest value overwrites older ones.
        for reference in list(self._refs.values()):
            values = reference()
            if values and values.owner.is_alive:
                found.setdefault(values.owner.ident, {}).update(values)
        return found

    def _prune(self) -> None:
        for key, reference in list(self._refs.items()):
            if reference() is None:
                self._refs.pop(key, None)
        self._prune_at = 2 * len(self._refs) + 64


class Local:
    """A namespace whose attributes belong to the running thread, greenlet or task.

    A task or a copied context starts with the values of its creator, which does not see later
    changes. Values end with their owner: a new owner that reuses an ident starts empty.

    Args:
        context_var: The variable that stores the values, instead of a new one. Create it at
            module level, because Python never frees a context variable.
    """

    # NOTE: ``__getattribute__`` is a slot for the reason given in `dewar.isolation.proxy`.
    __slots__ = ("__getattribute__", "__weakref__", "_live", "_values")

    def __init__(self, context_var: ContextVar[dict[str, Any]] | None = None) -> None:
        if context_var is None:
            context_var = ContextVar(f"dewar.Local<{id(self)}>")
        _slots["_values"].__set__(self, context_var)
        _slots["_live"].__set__(self, _LiveValues())
        _slots["__getattribute__"].__set__(self, _lookup_in(ref(self), context_var))

    def __setattr__(self, name: str, value: Any) -> None:
        variable = _variable_of(self)
        values = _Values(variable.get(_NOTHING))
        values[name] = value
        _publish(self, variable, values)

    def __delattr__(self, name: str) -> None:
        variable = _variable_of(self)
        values = _Values(variable.get(_NOTHING))
        if name not in values:
            raise AttributeError(name)
        del values[name]
        _publish(self, variable, values)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(_variable_of(self).get(_NOTHING).items())

    def __call__(self, name: str, *, unbound_message: str | None = None) -> LocalProxy[Any]:
        """Return a proxy to the attribute `name` of this namespace."""
        return LocalProxy(self, name, unbound_message=unbound_message)

    def __release_local__(self) -> None:
        _variable_of(self).set(_NOTHING)

    @property
    def __storage__(self) -> dict[int, dict[str, Any]]:
        """A copy of the values of every live owner: ``{owner ident: {name: value}}``."""
        return _live_of(self).snapshot()

    @property
    def __ident_func__(self) -> Callable[[], int]:
        """The function that returns the caller's ident, its key in `__storage__`."""
        return current_ident

    def __resolver__(self, name: str | None, unbound_message: str) -> Callable[[], Any]:
        if name is None:
            raise TypeError(
                "A proxy to a Local needs the name of an attribute:"
                " LocalProxy(local, 'user') or local('user')."
            )
        get = _variable_of(self).get

        def resolve() -> Any:
            try:
                return get()[name]
            except LookupError:
                raise UnboundError(unbound_message) from None

        return resolve

    def __repr__(self) -> str:
        return f"<Local {dict(self)!r}>"


# NOTE: slots are accessed by their descriptors, because ``self.name`` searches the values first.
_slots = vars(Local)
_variable_of: Callable[[Local], ContextVar[dict[str, Any]]] = _slots["_values"].__get__
_live_of: Callable[[Local], _LiveValues] = _slots["_live"].__get__


def _publish(local: Local, variable: ContextVar[dict[str, Any]], values: _Values) -> None:
    """Set `values` for the running owner. They must not change from now on."""
    values.owner = current_owner()
    _live_of(local).add(values)
    variable.set(values)


def _lookup_in(
    reference: "ref[Local]", context_var: ContextVar[dict[str, Any]]
) -> Callable[[str], Any]:
    """Return the function that looks up ``local.<name>``: in the values, then in the class."""
    get = context_var.get

    def lookup(name: str) -> Any:
        try:
            return get()[name]
        except LookupError:
            # The caller holds the Local, so the reference is alive.
            return object.__getattribute__(reference(), name)

    return lookup


def release_local(local: Any) -> None:
    """Remove all values of the running owner from a `Local` or a `LocalStack`."""
    local.__release_local__()
