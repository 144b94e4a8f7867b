"""`scheduled_job`: makes the job for a due time of a task's schedule."""

from typing import Any

from dewar.tasks.errors import TaskSetupError
from dewar.tasks.job_maker import job_maker
from dewar.tasks.ledger.ids import new_id
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.schedules.task_schedule import TaskSchedule, local_time
from dewar.tasks.submission import Submission
from dewar.tasks.task import Task

#: The parameter that gets the due time, if the task's function has it.
PARAMETER = "scheduled_for"


def scheduled_job(task: Task[Any, Any], due: float, now: float) -> NewJob:
    """Return the job of a task for a due time; both times are seconds since the epoch."""
    # A clock that was set back must not keep it waiting.
    submission = Submission(due=min(due, now))
    return job_maker(task, submission, new_id, now)((), _arguments(task, due))


def check_scheduled(task: Task[Any, Any]) -> None:
    """Check that a schedule can call a task's function, if the task has one.

    Raises:
        TaskSetupError: If a parameter has no default.
    """
    if task.options.schedule is None:
        return
    try:
        task.signature.bind(**_arguments(task, 0.0))
    except TypeError as error:
        raise TaskSetupError(
            f"The task {task.name} has a schedule, which calls it without arguments ({error})."
            f" Give each parameter a default: def {task.function.__name__}(limit=100). A parameter"
            f" named {PARAMETER} gets the due time as a datetime."
        ) from error


def _arguments(task: Task[Any, Any], due: float) -> dict[str, Any]:
    schedule: TaskSchedule | None = task.options.schedule
    if schedule is None or PARAMETER not in task.signature.parameters:
        return {}
    return {PARAMETER: local_time(schedule.rule, due)}
