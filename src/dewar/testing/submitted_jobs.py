"""`SubmittedJobs`: what a test finds of the jobs that were submitted in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dewar.tasks.serialization.values import ordered_dumps, pack_arguments, unpack_arguments
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.task import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedJob:
    """A job as it was submitted.

    Attributes:
        task: The name of its task.
        args: The positional arguments, as the function gets them: they have been JSON.
        kwargs: The named ones.
        queue: The name of its queue.
        priority: Its priority.
        due: When it may run, in UTC.
        callback: The URL that gets its outcome, or None.
        job: What `submit` has returned.
    """

    task: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    queue: str
    priority: int
    due: datetime
    callback: str | None
    job: StoredJob = field(repr=False, compare=False)

    @property
    def call(self) -> str:
        """The call, as one writes it."""
        return _call(self.task, self.args, self.kwargs)


class SubmittedJobs(list[SubmittedJob]):
    """The jobs of a test in the order in which they were submitted, run or not."""

    def of(self, task: Task[..., Any] | str) -> list[SubmittedJob]:
        """Return the jobs of a task.

        Args:
            task: The task, or its name.
        """
        name = task if isinstance(task, str) else task.name
        return [one for one in self if one.task == name]

    def assert_submitted(self, task: Task[..., Any], /, *args: Any, **kwargs: Any) -> SubmittedJob:
        """Return the last job of a task with these arguments.

        Args:
            task: The task.
            args: For its function. Those that are named here may have been given by their position.
            kwargs: For its function.

        Raises:
            AssertionError: If there is none. It says what was submitted.
            TypeError: For a name: the arguments are compared by the parameters of the task.
        """
        __tracebackhide__ = True  # pytest shows the test
        if not isinstance(task, Task):
            raise TypeError(f"assert_submitted({task!r}): give the task itself, not its name.")
        provider, bind = task.json, task.signature.bind
        text = pack_arguments(args, kwargs, ordered_dumps(provider))
        wanted_args, wanted_kwargs = unpack_arguments(text, provider.loads)
        wanted = bind(*wanted_args, **wanted_kwargs)
        for one in reversed(self.of(task)):
            if bind(*one.args, **one.kwargs) == wanted:
                return one
        seen = ", ".join(one.call for one in self) or "nothing"
        call = _call(task.name, wanted_args, wanted_kwargs)
        raise AssertionError(f"No job {call} was submitted, but {seen}.")

    def assert_not_submitted(self, task: Task[..., Any] | str) -> None:
        """Check that there is no job of a task.

        Args:
            task: The task, or its name.

        Raises:
            AssertionError: If there is one.
        """
        __tracebackhide__ = True
        found = [one.call for one in self.of(task)]
        if found:
            name = task if isinstance(task, str) else task.name
            raise AssertionError(f"There should be no job of {name}, but {', '.join(found)}.")


def _call(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    named = [f"{key}={value!r}" for key, value in kwargs.items()]
    return f"{name}({', '.join([*map(repr, args), *named])})"
