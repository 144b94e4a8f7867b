"""The words of Celery, RQ and Huey, for errors that say what to write here instead."""

from collections.abc import Callable, Mapping
from typing import Any

#: What a task is asked for there, and what to write here.
OF_TASKS: Mapping[str, str] = {
    "apply": "task.submit(...) while tasks.immediate() is entered",
    "apply_async": "task.options_for(delay=60, queue='mail').submit(...), or task.submit(...)",
    "delay": "task.submit(...)",
    "enqueue": "task.submit(...)",
    "queue": "task.submit(...)",
    "retry": "raise an error in the function, and declare @tasks.task(retries=3)",
    "schedule": "task.submit_later(..., delay=60)",
    "send": "task.submit(...)",
    "starmap": "task.map(first_arguments, second_arguments)",
}
#: The same of a job.
OF_JOBS: Mapping[str, str] = {
    "abort": "job.stop()",
    "args": "job.status()",
    "failed": "job.status().state",
    "forget": "nothing: results are deleted after TASKS_RETENTION",
    "get": "job.result(timeout=20)",
    "get_status": "job.status().state",
    "is_finished": "job.done()",
    "meta": "job.status().progress",
    "ready": "job.done()",
    "refresh": "job.status(), which is current at each call",
    "return_value": "job.result(timeout=20)",
    "revoke": "job.cancel(), or job.stop()",
    "state": "job.status().state",
    "successful": "job.status().state",
    "traceback": "job.status().error",
    "wait": "job.result(timeout=20), or concurrent.futures.wait([job])",
}
#: The same of a workflow, and of a step that is not submitted.
OF_STEPS: Mapping[str, str] = {
    "apply_async": "step.submit()",
    "delay": "step.submit()",
    "get": "step.submit().result(timeout=20)",
}
# Options of a job that are no arguments of `submit`, by their names there and here.
_OPTIONS = {
    "after": "after",
    "at": "at",
    "connection": "connection",
    "countdown": "delay",
    "delay": "delay",
    "depends_on": "after",
    "eta": "at",
    "on_failure": "on_failure",
    "priority": "priority",
    "queue": "queue",
    "unique_key": "unique_key",
}


def explaining(words: Mapping[str, str]) -> Callable[[object, str], Any]:
    """Return a ``__getattr__`` that says what to write instead of a word.

    It is called for what there is not, so what there is costs nothing.
    """

    def fail(self: object, name: str) -> Any:
        known = words.get(name)
        repair = "" if known is None else f". Write: {known}."
        message = f"{type(self).__name__!r} object has no attribute {name!r}{repair}"
        raise AttributeError(message, name=name, obj=self)

    return fail


def explained_call(error: TypeError, task: str, kwargs: Mapping[str, Any]) -> TypeError:
    """Return an error that names the task whose parameters a call does not fit.

    Args:
        error: What is wrong.
        task: The name of the task.
        kwargs: The named arguments of the call.
    """
    for name in kwargs:
        if name in _OPTIONS and f"'{name}'" in str(error):
            repair = f"{task}.options_for({_OPTIONS[name]}=...).submit(...)"
            return TypeError(f"{task}: {error}. If it is meant for the job, write: {repair}.")
    return TypeError(f"{task}: {error}")
