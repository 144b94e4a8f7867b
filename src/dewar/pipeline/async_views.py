"""Calling a coroutine function from synchronous code."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from dewar.loop.from_thread import run_coroutine

P = ParamSpec("P")
R = TypeVar("R")


def to_sync(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Return a function that runs a coroutine function and waits for its result.

    What the coroutine sets in context variables stays set afterwards, as if it had run in the
    caller itself.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return run_coroutine(lambda: function(*args, **kwargs))

    # The wrapper is a plain function, whatever `wraps` copied from the coroutine function.
    return call
