"""`Signature`, `Chain` and `Group`: calls of tasks that become the jobs of a workflow."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.other_words import OF_STEPS, explaining

if TYPE_CHECKING:
    from dewar.tasks.workflows.workflow import Workflow


class WorkflowStep:
    """A part of a workflow, or all of it.

    Attributes:
        continues: Whether its jobs run too if one before them does not end well; None if the step
            that it is a part of says so.
    """

    continues: bool | None = None

    if not TYPE_CHECKING:  # a type checker would believe that there is everything
        __getattr__ = explaining(OF_STEPS)

    def __or__(self, following: Any) -> "Chain":
        """Return a chain of this step and another one: ``a.s(1) | b.s()``."""
        return chain(self, following)

    def submit(self) -> "Workflow":
        """Accept all of its jobs, or none, and return them as one.

        Raises:
            QueueFull: If a job does not fit into the queue of its task.
            Duplicate: If a job has the key of another one that has not ended.
            Unserializable: If an argument has no JSON form.
            LedgerError: If they cannot be written.
        """
        first = next(self.signatures())
        workflow: Workflow = first.task.submit_workflow(self)
        return workflow

    def signatures(self) -> Iterator["Signature"]:
        """Yield the calls in it, in order."""
        raise NotImplementedError


class Signature(WorkflowStep):
    """A call of a task that is not submitted; see `Task.s`.

    Args:
        task: The task.
        args: The arguments of the call.
        kwargs: Its named arguments.
        submission: The options of the job.
        is_immutable: Whether it takes no result of the step before.
    """

    def __init__(
        self,
        task: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        submission: Any,
        *,
        is_immutable: bool = False,
    ) -> None:
        self.task = task
        self.args = args
        self.kwargs = kwargs
        self.submission = submission
        self.is_immutable = is_immutable
        self.continues = submission.continues

    def __repr__(self) -> str:
        given = [repr(arg) for arg in self.args]
        given += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.task.name}.{'si' if self.is_immutable else 's'}({', '.join(given)})"

    def signatures(self) -> Iterator["Signature"]:
        """Yield itself."""
        yield self


class _Steps(WorkflowStep):
    def __init__(self, steps: Sequence[WorkflowStep], continues: bool | None = None) -> None:
        kind = type(self).__name__.lower()
        if not steps:
            raise TaskSetupError(
                f"A {kind} needs a step: {kind}(task.s(1), ...). If there may be none, do not"
                f" submit it: if steps: {kind}(steps).submit()."
            )
        for step in steps:
            if not isinstance(step, WorkflowStep):
                raise TaskSetupError(
                    f"{step!r} is no step of a {kind}. Write a call of a task that is not"
                    f" submitted: task.s(1), and not task(1) or task.submit(1)."
                )
        self.steps = steps
        self.continues = continues

    def __repr__(self) -> str:
        kind, shown = type(self).__name__.lower(), ", ".join(map(repr, self.steps[:5]))
        return f"{kind}({shown}{', ...' if len(self.steps) > 5 else ''})"

    def signatures(self) -> Iterator[Signature]:
        """Yield the calls of its steps, in order."""
        for step in self.steps:
            yield from step.signatures()


class Chain(_Steps):
    """Steps one after the other; see `chain`."""


class Group(_Steps):
    """Steps beside each other; see `group`."""


def chain(*steps: Any, on_failure: str | None = None) -> Chain:
    """Return steps that run one after the other. Each gets the result before as first argument.

    ::

        workflow = chain(fetch.s(url), resize.s(width=800), store.s()).submit()
        workflow.result()  # that of the last step

    After a group, a step waits for all of the group, and gets the list of its results.

    Args:
        steps: Calls made by `Task.s`, chains and groups; or one iterable of them.
        on_failure: What becomes of the steps after one that does not end well: ``stop`` cancels
            them, ``continue`` runs them, with a `JobFailed` in the place of the result.

    Raises:
        TaskSetupError: If there is no step, or something else among them.
    """
    given = _given(steps)
    # A chain that is made of chains, one by one, would be nested as deep as it is long.
    while given and isinstance(given[0], Chain) and given[0].continues is None:
        given = [*given[0].steps, *given[1:]]
    return Chain(given, checked_on_failure(on_failure))


def group(*steps: Any, on_failure: str | None = None) -> Group:
    """Return steps that run at the same time. The result is the list of theirs, in order.

    Args:
        steps: As in `chain`.
        on_failure: As in `chain`, for what the steps wait for.

    Raises:
        TaskSetupError: As in `chain`.
    """
    return Group(_given(steps), checked_on_failure(on_failure))


def chord(header: Any, body: Any, *, on_failure: str | None = None) -> Chain:
    """Return a group, and a step that gets the list of its results: ``chain(group(...), body)``.

    Args:
        header: The group, or an iterable of steps, or a single one.
        body: The step after it.
        on_failure: As in `chain`.

    Raises:
        TaskSetupError: As in `chain`.
    """
    before = header if isinstance(header, Group) else group(header)
    return chain(before, body, on_failure=on_failure)


def checked_on_failure(on_failure: Any) -> bool | None:
    """Return whether a job runs too if one before it does not end well; None if that is not said.

    Raises:
        TaskSetupError: For any other value.
    """
    if on_failure not in (None, "stop", "continue"):
        raise TaskSetupError(
            f"on_failure={on_failure!r} should be 'stop' (cancel the jobs that wait for one that"
            " failed) or 'continue' (run them all the same)."
        )
    return None if on_failure is None else on_failure == "continue"


def _given(steps: Sequence[Any]) -> Sequence[Any]:
    if (
        len(steps) == 1
        and not isinstance(steps[0], WorkflowStep)
        and isinstance(steps[0], Iterable)
    ):
        return list(steps[0])
    return steps
