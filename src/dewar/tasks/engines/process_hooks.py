"""`process_hooks`: what pools do when the interpreter ends, and in the child of a fork.

At the end of the interpreter the pending jobs are finished, as those of `concurrent.futures` are.
In a child, a pool starts anew and empty: the threads it had, and the jobs it was given, are the
parent's.
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet


class ProcessResource(Protocol):
    """What has threads or processes of its own."""

    def end(self) -> None:
        """Finish what was accepted, and return when nothing runs any more."""

    def after_fork(self) -> None:
        """Start anew, in a child: neither threads nor locks are what they were."""


class _ProcessHooks:
    """Knows, without keeping them alive, all that have to be told."""

    def __init__(self) -> None:
        self._resources: WeakSet[ProcessResource] = WeakSet()
        self.is_exiting = False

    def add(self, resource: ProcessResource) -> None:
        """Tell this one too."""
        self._resources.add(resource)

    def end(self) -> None:
        """Tell all that the interpreter ends, one after the other."""
        self.is_exiting = True
        for resource in list(self._resources):
            resource.end()

    def after_fork(self) -> None:
        """Tell all that this is a child."""
        for resource in list(self._resources):
            resource.after_fork()

    def __repr__(self) -> str:
        return f"<process_hooks of {len(self._resources)} pools>"


process_hooks = _ProcessHooks()

# Not `atexit`: it comes after the interpreter waited for threads, which would wait for ever.
threading._register_atexit(process_hooks.end)  # type: ignore[attr-defined]  # noqa: SLF001  # nothing public comes in time
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process_hooks.after_fork)
