"""`process_hooks`: what pools do when the interpreter exits, and in the child of a fork.

When the interpreter exits, the pending jobs are finished, as `concurrent.futures` does. In a forked
child a pool starts empty: its threads and its jobs belong to the parent.
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet


class ProcessResource(Protocol):
    """Owns threads or processes."""

    def end(self) -> None:
        """Finish the accepted jobs, and wait for them."""

    def after_fork(self) -> None:
        """Reset, in a forked child: threads do not exist there, and locks may be held."""


class _ProcessHooks:
    """Calls the hooks of all resources. It holds them weakly."""

    def __init__(self) -> None:
        self._resources: WeakSet[ProcessResource] = WeakSet()
        self.is_exiting = False

    def add(self, resource: ProcessResource) -> None:
        """Call the hooks of this resource too."""
        self._resources.add(resource)

    def end(self) -> None:
        """Call all hooks for the interpreter's exit, one after the other."""
        self.is_exiting = True
        for resource in list(self._resources):
            resource.end()

    def after_fork(self) -> None:
        """Call all hooks for a forked child."""
        for resource in list(self._resources):
            resource.after_fork()

    def __repr__(self) -> str:
        return f"<process_hooks of {len(self._resources)} resources>"


process_hooks = _ProcessHooks()

# Not `atexit`: the interpreter calls that after it has waited for threads, which would never end.
threading._register_atexit(process_hooks.end)  # type: ignore[attr-defined]  # noqa: SLF001  # no public hook runs before that
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process_hooks.after_fork)
