"""Calling a coroutine function from synchronous code.

The coroutine runs on an event loop of its own in the calling thread, and sees the request: its
task starts with a copy of the caller's context.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["to_sync"]

P = ParamSpec("P")
R = TypeVar("R")


_MISSING: Any = object()


def to_sync(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Return a function that runs a coroutine function and waits for its result.

    What the coroutine sets in context variables stays set afterwards, as if it had run in the
    caller itself.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        ended_in: list[Context] = []

        async def work() -> R:
            try:
                return await function(*args, **kwargs)
            finally:
                ended_in.append(copy_context())

        try:
            return _run(work)
        finally:
            for context in ended_in:
                _take_over(context)

    # The wrapper is a plain function, whatever `wraps` copied from the coroutine function.
    return call


def _take_over(context: Context) -> None:
    for variable, value in context.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)


def _run(work: Callable[[], Coroutine[Any, Any, R]]) -> R:
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        return _run_beside_greenlets(work)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    # This thread's own loop is busy waiting for us.
    with ThreadPoolExecutor(1, "dewar-async-view") as pool:
        return pool.submit(copy_context().run, asyncio.run, work()).result()


def _run_beside_greenlets(work: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run the coroutine on a real thread.

    All greenlets share one thread, which has one running loop at most, and a thread that is made
    under gevent's patches is but a greenlet too.
    """
    pool = sys.modules["gevent"].get_hub().threadpool
    result: R = pool.apply(copy_context().run, (asyncio.run, work()))
    return result
