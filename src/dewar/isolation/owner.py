"""Who owns a value: the running asyncio task, else the greenlet, else the thread.

Identity here is for *showing* state (``Local.__storage__``), never for keeping it: the state
itself lives in context variables, which the interpreter drops with their owner. That is why an
ident that is handed out again cannot bring old values back.
"""

import sys
import threading
from collections.abc import Callable
from typing import Any
from weakref import ref

_modules = sys.modules


class Owner:
    """One thread, greenlet or task: its ident, and whether it is still running."""

    __slots__ = ("_subject", "ident")

    def __init__(self, ident: int, subject: object) -> None:
        self.ident = ident
        self._subject = ref(subject)

    @property
    def is_alive(self) -> bool:
        """Whether the owner still runs; a finished task that someone still holds does not."""
        subject = self._subject()
        if subject is None:
            return False
        done: Callable[[], bool] | None = getattr(subject, "done", None)
        return done is None or not done()

    def __repr__(self) -> str:
        return f"<Owner {self.ident} {'alive' if self.is_alive else 'ended'}>"


class _ThreadMark:
    """Stands for one thread; the interpreter drops it when that thread ends."""

    __slots__ = ("__weakref__",)


class _ThreadOwner(threading.local):
    """Gives each thread its one owner, threads that `threading` did not start as well."""

    def __init__(self) -> None:
        self.mark = _ThreadMark()
        self.owner = Owner(threading.get_ident(), self.mark)


_this_thread = _ThreadOwner()


def _current_subject() -> Any:
    """Return the running task, else the greenlet, or None where the thread itself is the owner."""
    # Neither is imported here. Importing asyncio takes long, and where a loop runs, it is there.
    # Greenlets are an option, and may come after us. A module that another thread is still
    # importing has not all its functions yet.
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
    # The greenlet without a parent is the thread itself.
    return None if current.parent is None else current


def current_owner() -> Owner:
    """Return the running task, else the greenlet, else the thread."""
    subject = _current_subject()
    return _this_thread.owner if subject is None else Owner(id(subject), subject)


def current_ident() -> int:
    """Return the ident of the running task, greenlet or thread.

    Idents are unique among owners that are alive at the same time, as `threading.get_ident` is.
    """
    return current_owner().ident
