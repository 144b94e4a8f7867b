"""`TaskScope`: the tasks that a request has started, which end with it.

A task that is made while a scope is set belongs to it: see `dewar.loop.event_loop.make_task`. A
task that has to outlive the scope is made in a context without one.
"""

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

_logger = logging.getLogger("dewar.server")

# The seconds that cancelled tasks get before the request goes on.
_LEAVE = 5.0


class TaskScope:
    """The tasks of one request. Only the loop's thread adds and ends them."""

    __slots__ = ("_name", "_tasks")

    def __init__(self, name: object) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] | None = None  # PERF: most requests have none

    def __repr__(self) -> str:
        return f"<TaskScope of {self._name!r}, {len(self._tasks or ())} tasks>"

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def add(self, task: "asyncio.Task[Any]") -> None:
        """Add a task; it is removed when it has ended."""
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self, is_cut_off: bool = False) -> None:
        """Cancel the tasks that still run but the calling one, and wait for them.

        A task that does not end is logged, and not waited for any longer.

        Args:
            is_cut_off: Whether the request was cut off too. Otherwise a warning is logged for each
                cancelled task.
        """
        if not self._tasks:
            return
        import asyncio  # there are tasks, so it is loaded

        # The caller may be one of them: then it would wait for itself.
        tasks = self._tasks - {asyncio.current_task()}
        if not tasks:
            return
        for task in tasks:
            if not is_cut_off:
                _logger.warning(
                    "%r still ran when %r had its answer, and is cancelled. Await it in the view,"
                    " or let it go on afterwards: app.after_response(coroutine).",
                    task, self._name,
                )  # fmt: skip
            task.cancel()
        _, left = await asyncio.wait(tasks, timeout=_LEAVE)
        for task in left:
            _logger.error("%r does not end, though it was cancelled.", task)


current_scope: ContextVar[TaskScope | None] = ContextVar("dewar.loop.task_scope", default=None)
