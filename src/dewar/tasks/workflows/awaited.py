"""Which jobs a new one waits for, as its submitter gives them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.ledger.workflow_rows import ids_in
from dewar.tasks.serialization.job_results import JobOutcome, JobResult
from dewar.tasks.stored_job import StoredJob
from dewar.tasks.workflows.workflow import Workflow


def awaited_ids(after: Any) -> tuple[str, ...]:
    """Return the ids of the jobs to wait for.

    Args:
        after: Jobs, workflows, or ids of jobs; or one of them.

    Raises:
        TaskSetupError: If it is anything else.
    """
    if after is None:
        return ()
    if isinstance(after, str | StoredJob | Workflow) or not isinstance(after, Iterable):
        after = [after]
    found: list[str] = []
    for one in after:
        if not isinstance(one, str | StoredJob | Workflow):
            raise TaskSetupError(
                f"after={one!r} should be jobs that were submitted: after=[resize.submit(path)]."
                " For calls that are not, write: chain(resize.s(path), store.s())."
            )
        found += ids_in(_ends_of(one))
    return tuple(found)


def with_results(
    args: Sequence[Any], kwargs: Mapping[str, Any], *, continues: bool
) -> tuple[Sequence[Any], Mapping[str, Any], list[str]]:
    """Return the arguments of a call with the results of jobs in the places of the jobs.

    Args:
        args: The arguments. Jobs and workflows may also be in lists, tuples and dicts.
        kwargs: The named arguments.
        continues: Whether the call takes the failures of jobs as well.

    Returns:
        The arguments, and the ids of the jobs in them.
    """
    kind: Any = JobOutcome if continues else JobResult
    found: list[str] = []

    def results(ends: Any) -> Any:
        if isinstance(ends, str):
            found.append(ends)
            return kind(ends)
        return [results(one) for one in ends]

    def replaced(value: Any) -> Any:
        if isinstance(value, StoredJob | Workflow):
            return results(_ends_of(value))
        if type(value) in (list, tuple):
            return type(value)(map(replaced, value))
        if type(value) is dict:
            return {key: replaced(item) for key, item in value.items()}
        return value

    return replaced(tuple(args)), replaced(dict(kwargs)), found


def _ends_of(one: str | StoredJob | Workflow) -> Any:
    if isinstance(one, str):
        return one
    return one.id if isinstance(one, StoredJob) else one.ends
