"""Calling a coroutine function from synchronous code.

The coroutine runs on an event loop of its own in the calling thread, and sees the request: its
task starts with a copy of the caller's context.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import wraps
from threading import Thread
from typing import Any, ParamSpec, TypeVar

__all__ = ["to_sync"]

P = ParamSpec("P")
R = TypeVar("R")


def to_sync(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Return a function that runs a coroutine function and waits for its result."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(function(*args, **kwargs))
        return _run_elsewhere(lambda: function(*args, **kwargs))

    # The wrapper is a plain function, whatever `wraps` copied from the coroutine function.
    return call


def _run_elsewhere(start: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run a coroutine while this thread's own loop is busy waiting for us."""
    results: list[R] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(asyncio.run(start()))
        except BaseException as error:  # noqa: BLE001  # raised in the waiting thread below
            errors.append(error)

    thread = Thread(target=copy_context().run, args=(work,), name="dewar-async-view")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
