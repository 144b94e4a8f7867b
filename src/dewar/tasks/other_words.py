"""The words of Celery, RQ and Huey for what tasks and jobs have here under other names."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

#: The options of one job; see `Task.options_for`.
OPTIONS = ("delay", "at", "queue", "priority", "unique_key", "after", "on_failure", "connection")
#: What to write for a method or an attribute of theirs.
TASK_WORDS = MappingProxyType(
    {
        "apply_async": "options_for(queue=..., delay=...).submit(...)",
        "apply": "submit(...) in tasks.immediate()",
        "delay": "submit(...)",
        "enqueue": "submit(...)",
        "schedule": "submit_later(..., delay=60)",
    }
)
JOB_WORDS = MappingProxyType(
    {
        "abort": "stop()",
        "forget": "nothing: results go after TASKS_RETENTION",
        "get": "result(timeout=10)",
        "ready": "done()",
        "revoke": "cancel(), or stop() if it may have begun",
        "state": "status().state",
        "wait": "result(timeout=10)",
    }
)


def no_attribute(owner: object, name: str, words: Mapping[str, str]) -> AttributeError:
    """Return the error for an attribute that an object does not have, with what to write."""
    repair = f" Write: {words[name]}" if name in words else ""
    text = f"{type(owner).__name__!r} object has no attribute {name!r}.{repair}"
    return AttributeError(text, name=name, obj=owner)


def wrong_call(task: str, named: Iterable[str], error: TypeError) -> TypeError:
    """Return the error for a call that does not match the function of a task.

    Args:
        task: The name of the task.
        named: The names of the named arguments.
        error: The error of the signature.
    """
    options = ", ".join(f"{name}=..." for name in named if name in OPTIONS)
    repair = f" For options of the job: {task}.options_for({options}).submit(...)"
    return TypeError(f"{task}.submit() {error}.{repair if options else ''}")
