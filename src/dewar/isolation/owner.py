"""The owner of a value: the running asyncio task, else the greenlet, else the thread.

Idents are only used to *show* state (``Local.__storage__``), never to store it. State is in
context variables, which Python frees with their owner. So a reused ident cannot bring old values
back.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any
from weakref import ref

_modules = sys.modules


class Owner:
    """A thread, greenlet or task: its ident, and whether it is still running."""

    __slots__ = ("_subject", "ident")

    def __init__(self, ident: int, subject: object) -> None:
        self.ident = ident
        self._subject = ref(subject)

    @property
    def is_alive(self) -> bool:
        """Whether the owner is still running. A finished task is not, even if it is referenced."""
        subject = self._subject()
        if subject is None:
            return False
        done: Callable[[], bool] | None = getattr(subject, "done", None)
        return done is None or not done()

    def __repr__(self) -> str:
        return f"<Owner {self.ident} {'alive' if self.is_alive else 'ended'}>"


class _ThreadMark:
    """Represents a thread. Python frees it when the thread ends."""

    __slots__ = ("__weakref__",)


class _ThreadOwner(threading.local):
    """Has the owner of each thread, also of threads that `threading` did not start."""

    def __init__(self) -> None:
        self.mark = _ThreadMark()
        self.owner = Owner(threading.get_ident(), self.mark)


_this_thread = _ThreadOwner()


def _current_subject() -> Any:
    """Return the running task, else the greenlet, or None if the thread is the owner."""
    # Neither module is imported here: asyncio is slow to import, and is imported if a loop runs.
    # greenlet is optional, and may be imported later. While another thread imports a module, some
    # of its functions are still missing.
    asyncio: Any = _modules.get("asyncio")
    if asyncio is not None:
        try:
            loop = asyncio._get_running_loop()  # noqa: SLF001  # asyncio documents it
            if loop is not None and (task := asyncio.current_task(loop)) is not None:
                return task
        except AttributeError:
            pass
    getcurrent = getattr(_modules.get("greenlet"), "getcurrent", None)
    if getcurrent is None:
        return None
    current = getcurrent()
    # A greenlet without a parent is the thread itself.
    return None if current.parent is None else current


def current_owner() -> Owner:
    """Return the running task, else the greenlet, else the thread."""
    subject = _current_subject()
    return _this_thread.owner if subject is None else Owner(id(subject), subject)


def current_ident() -> int:
    """Return the ident of the running task, greenlet or thread.

    Like those of `threading.get_ident`, idents are unique among owners alive at the same time.
    """
    return current_owner().ident
