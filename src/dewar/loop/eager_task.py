"""Starting a task whose first step is taken at once.

A coroutine that waits for nothing has its result then, without a turn of the loop. From Python
3.12 on a task can be asked for that; before, its first step is taken out of the loop's hands.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

_NAME = "dewar-request"  # PERF: else each task has a number of its own made for it


def start_eagerly(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None], context: Context
) -> asyncio.Task[None]:
    """Return a task that has taken its first step; for the loop's thread, outside of any task.

    Args:
        loop: The running loop.
        coroutine: What the task does.
        context: What it runs in; nobody may be in it.
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
    """Stands for ``call_soon`` and keeps what was to be called."""

    __slots__ = ("step",)

    step: Callable[[], object]

    def __call__(self, step: Callable[[], object], *_: object, **__: object) -> None:
        self.step = step
