"""What a task is declared with, and what may be a task."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.retry import RetryPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """The options of ``@tasks.task(...)``; see `Tasks.task`."""

    name: str
    policy: RetryPolicy
    timeout: float | None
    max_queue: int | None

    def __post_init__(self) -> None:
        # What a program gives may be of any type.
        name: Any = self.name
        timeout: Any = self.timeout
        limit = self.max_queue
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise TaskSetupError(
                f"The name {name!r} of a task should be text that can be printed:"
                " @tasks.task('resize')."
            )
        is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if timeout is not None and not (is_number and 0 < timeout < inf):
            raise TaskSetupError(
                f"timeout={timeout!r} should be a number of seconds above 0, or None for no limit."
            )
        if limit is not None and (type(limit) is not int or limit < 0):
            raise TaskSetupError(
                f"max_queue={limit!r} should be a whole number from 0 on, or None for no limit."
            )


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function that is to be a task.

    Raises:
        TaskSetupError: For a class, a partial or another object, which no other process finds.
    """
    if isinstance(function, type) or not hasattr(function, "__qualname__"):
        kind = "class" if isinstance(function, type) else type(function).__name__
        raise TaskSetupError(
            f"A task is a function, and this is a {kind}, which another process does not find by"
            " its name. Write a function that calls it: @tasks.task(), and below it"
            " def resize(path): ..."
        )
    name: str = function.__name__
    return name
