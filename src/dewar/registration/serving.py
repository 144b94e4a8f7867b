"""`Serving`: what an app does in each process that serves it, before and after the requests."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Serving"]


class Inner(Protocol):
    """What begins and ends with an app, because the app holds it."""

    def begin_serving(self) -> None:
        """Begin."""

    def end_serving(self, timeout: float) -> None:
        """End within so many seconds."""


class Serving:
    """The functions for the begin and the end of serving, each called once in a process.

    A process is known by its id: one that was forked begins for itself, whatever its parent did.
    """

    def __init__(self) -> None:
        self.begin_functions: list[Callable[[], Any]] = []
        self.end_functions: list[Callable[[float], Any]] = []
        # Reentrant, because an app may be among those that it holds.
        self._changing = threading.RLock()
        self._process: int | None = None

    def __repr__(self) -> str:
        here = "begun" if self._process == os.getpid() else "not begun"
        return f"<Serving {here}, {len(self.begin_functions)} + {len(self.end_functions)}>"

    def begin(self, inner: Inner | None = None) -> None:
        """Call the functions for the begin, in the order of registration.

        Args:
            inner: What begins afterwards.
        """
        with self._changing:
            if self._process == os.getpid():
                return
            self._process = os.getpid()
            try:
                for function in self.begin_functions:
                    function()
                if inner is not None:
                    inner.begin_serving()
            except BaseException:
                self._process = None
                raise

    def end(self, timeout: float, inner: Inner | None = None) -> None:
        """Call the functions for the end in the opposite order; raise the first error at last.

        Args:
            timeout: The seconds that all of them share.
            inner: What ends before.
        """
        deadline = time.monotonic() + timeout
        errors: list[Exception] = []
        with self._changing:
            if self._process != os.getpid():
                return
            self._process = None
            first = () if inner is None else (inner.end_serving,)
            for function in (*first, *reversed(self.end_functions)):
                try:
                    function(max(0.0, deadline - time.monotonic()))
                except Exception as error:  # noqa: BLE001  # raised after the others have run
                    errors.append(error)
        if errors:
            raise errors[0]
