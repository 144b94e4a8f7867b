"""`LocalStack`: a stack that each thread, greenlet and task has to itself.

The stack is persistent: one context variable holds an immutable pair ``(top, rest)``. Push makes
a pair, pop goes back to its rest; nothing is ever copied or changed, so a task that copied the
context shares the pairs below its own pushes and cannot disturb them.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from operator import attrgetter
from typing import Any, Generic, TypeVar

from dewar.errors import UnboundError
from dewar.isolation.local import Local, release_local
from dewar.isolation.proxy import LocalProxy

T = TypeVar("T")
Node = Any  # None when empty, else the pair (top, rest); a pair cannot name itself


class LocalStack(Generic[T]):
    """A stack whose content belongs to the running thread, greenlet or task.

    `push`, `pop` and `top` take the same short time at any depth. A task or a copied context
    starts with what its creator sees; what it pushes or pops stays its own.

    Args:
        context_var: Keep the stack in this variable instead of one made here. Make it at
            module level: the interpreter never forgets a context variable.
    """

    __slots__ = ("__weakref__", "_shown", "reader", "writer")

    def __init__(self, context_var: ContextVar[Any] | None = None) -> None:
        if context_var is None:
            context_var = ContextVar(f"dewar.LocalStack<{id(self)}>")
        #: Reads the pair ``(top, rest)``, given what to return where the stack is empty.
        self.reader: Callable[[None], Node] = context_var.get
        #: Makes such a pair the stack.
        self.writer: Callable[[Node], object] = context_var.set
        self._shown: Local | None = None

    def push(self, obj: T) -> "LocalStack[T]":
        """Put `obj` on top and return the stack, which iterates from the bottom up."""
        self.writer((obj, self.reader(None)))
        return self

    def pop(self) -> T | None:
        """Take the top off and return it, or return None where the stack is empty."""
        node = self.reader(None)
        if not node:
            return None
        self.writer(node[1])
        return node[0]  # type: ignore[no-any-return]  # a recursive pair cannot be typed

    @property
    def top(self) -> T | None:
        """The object on top, or None where the stack is empty."""
        node = self.reader(None)
        return node[0] if node else None

    def __len__(self) -> int:
        return len(_from_bottom(self.reader(None)))

    def __iter__(self) -> Iterator[T]:
        return iter(_from_bottom(self.reader(None)))

    def __bool__(self) -> bool:
        # A stack is an object to pass around: an empty one is not nothing.
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
        """What older code looks into: ``_local.__storage__`` is ``{owner: {"stack": [...]}}``.

        What other owners pushed before anybody looked is not in it: nothing keeps it for show.
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
    """Answers older code that reads ``stack._storage.get()`` and expects a list."""

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[None], Node]) -> None:
        self._get = get

    def get(self, default: object = None) -> object:
        return _from_bottom(self._get(None)) or default


def show(shown: Local, items: list[Any]) -> None:
    """Have ``shown.stack`` be the running owner's items; nothing where there are none."""
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
