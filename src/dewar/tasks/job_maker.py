"""`job_maker`: makes the new jobs of one submission."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dewar.contexts.current import contexts
from dewar.support.redaction import IsSecret
from dewar.tasks.interface import TasksApp
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.serialization.argument_key import argument_key, given_key
from dewar.tasks.serialization.values import Dumps, ordered_dumps, pack_arguments
from dewar.tasks.submission import Submission
from dewar.tasks.task import Task


def job_maker(
    task: Task[Any, Any], submission: Submission, new_id: Callable[[float], str]
) -> Callable[[Sequence[Any], Mapping[str, Any]], NewJob]:
    """Return a function that makes a new job of a task of the arguments of a call.

    Args:
        task: The task.
        submission: The options of the jobs.
        new_id: Makes an id for a time in seconds since the epoch.
    """
    directory, options = task.directory(), task.options
    now = directory.clock()
    app = directory.app
    dumps = ordered_dumps(json if app is None else app.json)
    context = None if app is None else _stored_context(app, directory.secret_names)
    due = now if submission.due is None else submission.due
    # A job that is to run later takes no place in the queue before.
    max_queue = options.max_queue if due <= now else None
    queue = options.queue if submission.queue is None else submission.queue
    priority = options.priority if submission.priority is None else submission.priority
    limited = bool(options.limits)
    is_unique = bool(options.unique) and submission.unique_key is None

    def make(args: Sequence[Any], kwargs: Mapping[str, Any]) -> NewJob:
        return NewJob(
            id=new_id(now),
            task=options.name,
            arguments=pack_arguments(args, kwargs, dumps),
            context=context,
            created=now,
            due=due,
            idempotent=options.policy.idempotent,
            max_queue=max_queue,
            callback=submission.callback,
            queue=queue,
            priority=priority,
            limited=limited,
            unique_key=_key(task, args, kwargs, dumps) if is_unique else submission.unique_key,
            on_duplicate=options.on_duplicate,
        )

    return make


def _key(
    task: Task[Any, Any], args: Sequence[Any], kwargs: Mapping[str, Any], dumps: Dumps
) -> str | None:
    """Return the key of a job that the task's own rule gives."""
    rule = task.options.unique
    if callable(rule):
        return given_key(rule(*args, **kwargs))
    return argument_key(task.signature, args, kwargs, dumps)


def _stored_context(app: TasksApp, secret_names: Callable[[], IsSecret]) -> str | None:
    """Return the current context as JSON; None if it has nothing but the app, or another app."""
    # PERF: as `maybe_current`, without a call.
    state = contexts.reader(None)
    context = state and state[0]
    if context is None or context.app is not app:
        return None
    # PERF: a job without a stored context gets a new app context, which is the same.
    if context._dewar_request_context is None and not vars(context.g):
        return None
    return json.dumps(context._dewar_snapshot().portable(secret_names()))
