"""`Serving`: what an app does in each process that serves it, before and after the requests."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Serving"]


class Serving:
    """The functions for the begin and the end of serving, each called once in a process.

    A process is known by its id: one that was forked begins for itself, whatever its parent did.
    """

    def __init__(self) -> None:
        self.begin_functions: list[Callable[[], Any]] = []
        self.end_functions: list[Callable[[float], Any]] = []
        self._changing = threading.Lock()
        self._process: int | None = None

    def __repr__(self) -> str:
        here = "begun" if self._process == os.getpid() else "not begun"
        return f"<Serving {here}, {len(self.begin_functions)} + {len(self.end_functions)}>"

    def begin(self) -> None:
        """Call the functions for the begin, in the order of registration."""
        with self._changing:
            if self._process == os.getpid():
                return
            for function in self.begin_functions:
                function()
            self._process = os.getpid()

    def end(self, timeout: float) -> None:
        """Call the functions for the end in the opposite order; raise the first error at last.

        Args:
            timeout: The seconds that all of them share.
        """
        deadline = time.monotonic() + timeout
        errors: list[Exception] = []
        with self._changing:
            if self._process != os.getpid():
                return
            self._process = None
            for function in reversed(self.end_functions):
                try:
                    function(max(0.0, deadline - time.monotonic()))
                except Exception as error:  # noqa: BLE001  # raised after the others have run
                    errors.append(error)
        if errors:
            raise errors[0]
