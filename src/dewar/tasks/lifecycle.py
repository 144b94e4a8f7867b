"""`lifecycle`: what pools do when the interpreter ends, and in the child of a fork.

At the end of the interpreter the pending jobs are finished, as those of `concurrent.futures` are.
In a child, a pool starts anew and empty: the threads it had, and the jobs it was given, are the
parent's.
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Mortal(Protocol):
    """What has threads or processes of its own."""

    def end(self) -> None:
        """Finish what was accepted, and return when nothing runs any more."""

    def after_fork(self) -> None:
        """Start anew, in a child: neither threads nor locks are what they were."""


class _Lifecycle:
    """Knows, without keeping them alive, all that have to be told."""

    def __init__(self) -> None:
        self._members: WeakSet[Mortal] = WeakSet()
        self.is_ending = False

    def add(self, member: Mortal) -> None:
        """Tell this one too."""
        self._members.add(member)

    def end(self) -> None:
        """Tell all that the interpreter ends, one after the other."""
        self.is_ending = True
        for member in list(self._members):
            member.end()

    def after_fork(self) -> None:
        """Tell all that this is a child."""
        for member in list(self._members):
            member.after_fork()

    def __repr__(self) -> str:
        return f"<lifecycle of {len(self._members)} pools>"


lifecycle = _Lifecycle()

# Not `atexit`: it comes after the interpreter waited for threads, which would wait for ever.
threading._register_atexit(lifecycle.end)  # type: ignore[attr-defined]  # noqa: SLF001  # nothing public comes in time
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lifecycle.after_fork)
