"""`LocalStack`: a separate stack for each thread, greenlet and task.

The stack is a persistent data structure: a context variable holds an immutable pair
``(top, rest)``. Push creates a pair, and pop restores the rest. Nothing is copied or changed, so
a task that copied the context shares the pairs below its own pushes and cannot change them.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from operator import attrgetter
from typing import Any, Generic, TypeVar

from dewar.errors import UnboundError
from dewar.isolation.local import Local, release_local
from dewar.isolation.proxy import LocalProxy

T = TypeVar("T")
Node = Any  # None if empty, else the pair (top, rest); a type alias cannot be recursive


class LocalStack(Generic[T]):
    """A stack whose content belongs to the running thread, greenlet or task.

    `push`, `pop` and `top` take constant time. A task or a copied context starts with the stack
    of its creator, which does not see later changes.

    Args:
        context_var: The variable that stores the stack, instead of a new one. Create it at
            module level, because Python never frees a context variable.
    """

    __slots__ = ("__weakref__", "_shown", "reader", "writer")

    def __init__(self, context_var: ContextVar[Any] | None = None) -> None:
        if context_var is None:
            context_var = ContextVar(f"dewar.LocalStack<{id(self)}>")
        #: Returns the pair ``(top, rest)``, or its argument if the stack is empty.
        self.reader: Callable[[None], Node] = context_var.get
        #: Sets the pair.
        self.writer: Callable[[Node], object] = context_var.set
        self._shown: Local | None = None

    def push(self, obj: T) -> "LocalStack[T]":
        """Put `obj` on top and return the stack, which iterates from bottom to top."""
        self.writer((obj, self.reader(None)))
        return self

    def pop(self) -> T | None:
        """Remove and return the object on top, or return None if the stack is empty."""
        node = self.reader(None)
        if not node:
            return None
        self.writer(node[1])
        return node[0]  # type: ignore[no-any-return]  # a recursive pair cannot be typed

    @property
    def top(self) -> T | None:
        """The object on top, or None if the stack is empty."""
        node = self.reader(None)
        return node[0] if node else None

    def __len__(self) -> int:
        return len(_from_bottom(self.reader(None)))

    def __iter__(self) -> Iterator[T]:
        return iter(_from_bottom(self.reader(None)))

    def __bool__(self) -> bool:
        # Empty stacks are true as well: ``if stack`` tests whether there is a stack.
        return True

    def __call__(
        self, name: str | None = None, *, unbound_message: str | None = None
    ) -> LocalProxy[Any]:
        """Return a proxy to the object on top, or to its attribute `name`."""
        return LocalProxy(self, name, unbound_message=unbound_message)

    def __release_local__(self) -> None:
        self.writer(None)

    def __resolver__(self, name: str | None, unbound_message: str) -> Callable[[], Any]:
        get = self.reader

        def resolve() -> Any:
            node = get(None)
            if not node:
                raise UnboundError(unbound_message)
            return node[0] if pick is None else pick(node[0])

        pick = attrgetter(name) if name else None
        return resolve

    @property
    def _local(self) -> Local:
        """For older code: ``_local.__storage__`` is ``{owner: {"stack": [...]}}``.

        It lacks what other owners pushed before the first access: nothing records that.
        """
        shown = self._shown
        if shown is None:
            shown = self._shown = Local()
            self.writer = _showing(shown, self.writer)
        show(shown, list(self))
        return shown

    @property
    def _storage(self) -> "_Storage":
        return _Storage(self.reader)

    def __repr__(self) -> str:
        return f"<LocalStack {list(self)!r}>"


class _Storage:
    """For older code that reads ``stack._storage.get()`` and expects a list."""

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[None], Node]) -> None:
        self._get = get

    def get(self, default: object = None) -> object:
        return _from_bottom(self._get(None)) or default


def show(shown: Local, items: list[Any]) -> None:
    """Set ``shown.stack`` to the running owner's items, or remove it if there are none."""
    if items:
        shown.stack = items
    else:
        release_local(shown)


def _showing(shown: Local, writer: Callable[[Node], object]) -> Callable[[Node], object]:
    def write(node: Node) -> None:
        writer(node)
        show(shown, _from_bottom(node))

    return write


def _from_bottom(node: Node) -> list[Any]:
    items = []
    while node:
        top, node = node
        items.append(top)
    return items[::-1]
