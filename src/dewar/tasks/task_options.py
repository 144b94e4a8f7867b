"""What a task is declared with, and what may be a task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.limits import NO_LIMITS, Rate, TaskLimits
from dewar.tasks.placement import DEFAULT_QUEUE, OnDuplicate, checked_priority, checked_queue
from dewar.tasks.retry import RetryPolicy
from dewar.tasks.schedules.task_schedule import TaskSchedule
from dewar.tasks.time_limits import TimeLimits

#: How many jobs of a task may wait by default: some minutes' work, and no more than fits on a disk.
MAX_QUEUE = 10_000

#: Whether one job at most has the same arguments, or a function of them that returns the key.
UniqueRule = bool | Callable[..., Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """The options of ``@tasks.task(...)``; see `Tasks.task`."""

    name: str
    policy: RetryPolicy
    timeout: float | None
    soft_timeout: float | None = None
    max_queue: int | None
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    limits: TaskLimits = NO_LIMITS
    unique: UniqueRule = False
    on_duplicate: OnDuplicate = OnDuplicate.RETURN
    schedule: TaskSchedule | None = None

    def __post_init__(self) -> None:
        # What a program gives may be of any type.
        name: Any = self.name
        limit = self.max_queue
        checked_queue(self.queue)
        checked_priority(self.priority)
        if type(self.unique) is not bool and not callable(self.unique):
            raise TaskSetupError(
                f"unique={self.unique!r} should be True, or a function of the task's arguments that"
                " returns the key: unique=lambda order, **options: order."
            )
        if not isinstance(name, str) or not name.isprintable() or not name:
            raise TaskSetupError(
                f"The name {name!r} of a task should be text that can be printed:"
                " @tasks.task('resize')."
            )
        TimeLimits(self.timeout, self.soft_timeout)  # a check
        if limit is not None and (type(limit) is not int or limit < 0):
            raise TaskSetupError(
                f"max_queue={limit!r} should be a whole number from 0 on, or None for no limit."
            )

    @property
    def has_time_limit(self) -> bool:
        """Whether its jobs may run for so long, and no longer."""
        return self.timeout is not None or self.soft_timeout is not None


def limits_of(rate: Any, max_running: Any) -> TaskLimits:
    """Return the limits of a task, as it was declared.

    Raises:
        TaskSetupError: For a value that is not possible.
    """
    if max_running is not None and (type(max_running) is not int or max_running < 1):
        raise TaskSetupError(
            f"max_running={max_running!r} should be a whole number from 1 on, or None for no limit."
        )
    return TaskLimits(None if rate is None else Rate.read(rate), max_running)


def name_of(function: Callable[..., Any], given: str | None) -> str:
    """Return the name of a function that is to be a task: the given one, if there is one.

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
    return name if given is None else given
