"""Starting a task whose first step runs at once.

A coroutine that waits for nothing has its result at once, without a turn of the loop. Python 3.12
has an option for that. Before, the first step is intercepted on its way to the loop.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

_NAME = "dewar-request"  # PERF: without a name asyncio makes one for each task


def start_eagerly(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None], context: Context
) -> asyncio.Task[None]:
    """Return a task that has run its first step; for the loop's thread, outside of any task.

    Args:
        loop: The running loop.
        coroutine: The work of the task.
        context: The task runs in it, and nothing else may.
    """
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, context=context, name=_NAME, eager_start=True)
    taker = _Taker()
    loop.call_soon = taker  # type: ignore[method-assign,assignment]  # for one call, on its own thread
    try:
        task = asyncio.Task(coroutine, loop=loop, context=context, name=_NAME)
    finally:
        del loop.call_soon
    context.run(taker.step)
    return task


class _Taker:
    """Replaces ``call_soon``, and keeps the function instead of scheduling it."""

    __slots__ = ("step",)

    step: Callable[[], object]

    def __call__(self, step: Callable[[], object], *_: object, **__: object) -> None:
        self.step = step
