"""`LifespanHooks`: what an app does in each process before its first and after its last request."""

import os
import threading
import time
from collections.abc import Callable
from contextvars import Context
from inspect import iscoroutinefunction
from typing import Any

from dewar.errors import DewarError
from dewar.layers import maybe_method
from dewar.loop.from_thread import run_coroutine_in
from dewar.loop.task_scope import TaskScope, current_scope
from dewar.support.first_error import FirstError


class CancelledServingError(DewarError, RuntimeError):
    """Raised when an `on_start` or `on_stop` function let a task's cancellation through."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(
            f"{function!r} ended with asyncio.CancelledError, probably where it awaited a task that"
            " it had cancelled. Write: with suppress(asyncio.CancelledError): await task."
        )


class LifespanHooks:
    """The functions for the start and the end of serving. Each is called once in a process.

    A process is known by its id: a forked process starts anew.

    Coroutine functions run on the process's event loop, outside of any request. The tasks that
    they start go on until the end, and are cancelled after its last function.
    """

    def __init__(self) -> None:
        self.begin_functions: list[Callable[[], Any]] = []
        self.end_functions: list[Callable[[float], Any]] = []
        # Reentrant, because an app may hold itself.
        self._changing = threading.RLock()
        self._process: int | None = None
        self._scope = TaskScope("the functions of on_start")

    def __repr__(self) -> str:
        here = "begun" if self._process == os.getpid() else "not begun"
        return f"<LifespanHooks {here}, {len(self.begin_functions)} + {len(self.end_functions)}>"

    def begin(self, inner: Any = None) -> None:
        """Call the functions for the start, in the order of registration.

        Args:
            inner: Has `begin_serving`, which is called afterwards.
        """
        with self._changing:
            if self._process == os.getpid():
                return
            self._process = os.getpid()
            try:
                self._scope = TaskScope(
                    "the functions of on_start"
                )  # the tasks of a parent are not in this process
                for function in self.begin_functions:
                    self._call(function)
                if inner is not None:
                    maybe_method(inner, "begin_serving")()
            except BaseException:
                self._process = None
                self._end_tasks()
                raise

    def end(self, timeout: float, inner: Any = None) -> None:
        """Call the functions for the end in the opposite order, and then raise the first error.

        Args:
            timeout: The seconds that all of them share.
            inner: Has `end_serving`, which is called before.
        """
        deadline = time.monotonic() + timeout
        errors = FirstError()
        with self._changing:
            if self._process != os.getpid():
                return
            self._process = None
            first = () if inner is None else (maybe_method(inner, "end_serving"),)
            for function in (*first, *reversed(self.end_functions)):
                try:
                    self._call(function, max(0.0, deadline - time.monotonic()))
                except Exception as error:  # noqa: BLE001  # raised after the others have run
                    errors.keep(error)
            self._end_tasks()
        errors.raise_first()

    def _call(self, function: Callable[..., Any], *args: object) -> None:
        if iscoroutinefunction(function):
            import asyncio  # here, because most apps have no such function

            context = Context()
            context.run(current_scope.set, self._scope)
            try:
                run_coroutine_in(context, lambda: function(*args))
            except asyncio.CancelledError as error:
                raise CancelledServingError(function) from error
        else:
            function(*args)

    def _end_tasks(self) -> None:
        if self._scope:
            run_coroutine_in(Context(), lambda: self._scope.end(is_cut_off=True))
