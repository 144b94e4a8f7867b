"""`BackgroundThread`: a thread that no exit waits for, and that is no daemon to what it starts."""

import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any


class BackgroundThread(threading.Thread):
    """Runs a function in an empty context.

    Python decides twice by `daemon`: when a thread starts, whether the interpreter waits for it at
    its exit, and when a thread makes another, what that one is. A background thread is a daemon for
    the first, so that a function that never returns keeps no process alive. For the second it is
    what the thread that made it is. So a thread that an application starts on it is no daemon,
    unless the application says so, or the server itself runs in a daemon.

    Args:
        name: The name of the thread.
        target: The function.
        args: Its arguments.
    """

    _has_begun = False

    def __init__(self, name: str, target: Callable[..., object], *args: Any) -> None:
        # From Python 3.14 on, a thread may begin with a copy of its starter's context.
        super().__init__(target=Context().run, args=(target, *args), name=name)

    @property
    def daemon(self) -> bool:  # type: ignore[override]  # nothing sets it
        """Whether this is a daemon: True until `run`, then what it passes on."""
        return not self._has_begun or super().daemon

    def run(self) -> None:
        """Run the function; `start` has the new thread call this."""
        # The interpreter has noted before this that it does not wait.
        self._has_begun = True
        super().run()
