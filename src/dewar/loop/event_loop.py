"""The event loop itself: how it is made, which tasks it makes, and how it ends.

It imports asyncio, so it is imported with the first loop: see `dewar.loop.process_loop`.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from dewar.loop.task_scope import current_scope

_logger = logging.getLogger("dewar.server")


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop, uvloop's where it is installed, whose tasks belong to scopes."""
    loop: asyncio.AbstractEventLoop
    try:
        import uvloop
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        # A Python class, because `start_eagerly` sets an attribute of the loop.
        loop = type("UvLoop", (uvloop.Loop,), {})()
    loop.set_task_factory(make_task)  # type: ignore[arg-type]  # its protocol asks for more
    return loop


def make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    """Return a task for *coroutine* on *loop*, in the scope of the context that it runs in."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    context: Context | None = options.get("context")
    scope = current_scope.get() if context is None else context.get(current_scope)
    if scope is not None:
        scope.add(task)
    return task


async def end(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Cancel all other tasks, give them some seconds, and stop the loop."""
    deadline = time.monotonic() + seconds
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        _, left = await asyncio.wait(others, timeout=seconds)
        for task in left:
            _logger.error("%r did not end when it was cancelled.", task)
    rest = max(0.1, deadline - time.monotonic())
    for step in (loop.shutdown_asyncgens(), loop.shutdown_default_executor()):
        try:
            await asyncio.wait_for(step, rest)
        except TimeoutError:
            _logger.exception("%r did not end in time", step)
        except RuntimeError as error:
            # At the interpreter's exit no thread can start to wait for those of the executor,
            # which the interpreter has waited for already.
            _logger.debug("%r: %s", step, error)
    loop.stop()
