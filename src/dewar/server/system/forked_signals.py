"""`ForkedSignals`: keeps the signals of a child that the program forks from the parent's inboxes.

A child inherits the handlers of its parent and the descriptor to which Python writes each signal,
which is then the descriptor of both: a SIGTERM for the child would stop the parent's server. So the
child gives back at once what the inboxes had taken. The signals are blocked meanwhile, because a
program may send one right after the fork, as `multiprocessing.Process.terminate` does.
"""

import os
import signal
import threading
from collections.abc import Iterable
from typing import Protocol
from weakref import WeakSet


class Inbox(Protocol):
    """Gets signals."""

    @property
    def numbers(self) -> Iterable[int]:
        """The signals that it gets."""

    def leave_to_parent(self) -> None:
        """Give back, in a forked child, what was taken from the program."""


class ForkedSignals:
    """Tells the inboxes of a fork. It holds them weakly."""

    def __init__(self) -> None:
        self._inboxes: WeakSet[Inbox] = WeakSet()
        self._thread = threading.local()  # several threads may fork at a time

    def __repr__(self) -> str:
        return f"<ForkedSignals of {len(self._inboxes)} inboxes>"

    def add(self, inbox: Inbox) -> None:
        """Tell this inbox too."""
        self._inboxes.add(inbox)

    def discard(self, inbox: Inbox) -> None:
        """Tell this inbox no longer."""
        self._inboxes.discard(inbox)

    def before(self) -> None:
        """Block the signals in the thread that forks, and so in its child."""
        numbers = {number for inbox in list(self._inboxes) for number in inbox.numbers}
        self._thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def in_parent(self) -> None:
        """Get signals again, whether there is a child or not."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._thread.mask)

    def in_child(self) -> None:
        """Have all inboxes leave the signals to the program, and get them."""
        for inbox in list(self._inboxes):
            inbox.leave_to_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._thread.mask)


forked_signals = ForkedSignals()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=forked_signals.before,
        after_in_parent=forked_signals.in_parent,
        after_in_child=forked_signals.in_child,
    )
