"""`job_maker`: makes the new jobs of one submission."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dewar.contexts.current import contexts
from dewar.support.redaction import IsSecret
from dewar.tasks.errors import Unserializable
from dewar.tasks.interface import TasksApp
from dewar.tasks.ledger.records import NewJob
from dewar.tasks.serialization.argument_key import argument_key, given_key
from dewar.tasks.serialization.values import Dumps, ordered_dumps, pack_arguments
from dewar.tasks.submission import Submission
from dewar.tasks.task import Task
from dewar.tasks.tracing import is_tracing, traced_context
from dewar.tasks.workflows.awaited import with_results
from dewar.tasks.workflows.plan import PlannedJob, WorkflowPlan


def job_maker(
    task: Task[Any, Any],
    submission: Submission,
    new_id: Callable[[float], str],
    now: float | None = None,
) -> Callable[[Sequence[Any], Mapping[str, Any]], NewJob]:
    """Return a function that makes a new job of a task of the arguments of a call.

    Args:
        task: The task.
        submission: The options of the jobs.
        new_id: Makes an id for a time in seconds since the epoch.
        now: That time; None for what the clock says.
    """
    directory, options = task.directory(), task.options
    now = directory.clock() if now is None else now
    app = directory.app
    dumps = ordered_dumps(json if app is None else app.json)
    context = None if app is None else _stored_context(app, directory.secret_names)
    due = now if submission.due is None else submission.due
    # A job that is to run later takes no place in the queue before.
    max_queue = options.max_queue if due <= now else None
    queue = options.queue if submission.queue is None else submission.queue
    priority = options.priority if submission.priority is None else submission.priority
    limited = bool(options.limits)
    traces = is_tracing()
    is_unique = bool(options.unique) and submission.unique_key is None

    def make(args: Sequence[Any], kwargs: Mapping[str, Any]) -> NewJob:
        packed, args, kwargs, after = _packed(submission, args, kwargs, dumps)
        id = new_id(now)
        return NewJob(
            id=id,
            task=options.name,
            arguments=packed,
            context=traced_context(context, options.name, queue, id) if traces else context,
            created=now,
            due=due,
            idempotent=options.policy.idempotent,
            max_queue=None if after else max_queue,
            callback=submission.callback,
            queue=queue,
            priority=priority,
            limited=limited or bool(after),  # claimed in the same way
            unique_key=_key(task, args, kwargs, dumps) if is_unique else submission.unique_key,
            on_duplicate=options.on_duplicate,
            after=after,
            continues=bool(submission.continues),
            workflow=submission.workflow,
        )

    return make


def jobs_of(plan: WorkflowPlan) -> list[NewJob]:
    """Return the new jobs of a workflow, in its order."""

    def made(one: PlannedJob) -> NewJob:
        return job_maker(one.task, one.submission, lambda _: one.id)(one.args, one.kwargs)

    return [made(one) for one in plan.jobs]


def _packed(
    submission: Submission, args: Sequence[Any], kwargs: Mapping[str, Any], dumps: Dumps
) -> tuple[str, Sequence[Any], Mapping[str, Any], tuple[str, ...]]:
    """Return the text of arguments, and these with results for jobs, and what the job waits for."""
    found: Sequence[str] = ()
    continues = bool(submission.continues)
    if submission.after:
        args, kwargs, found = with_results(args, kwargs, continues=continues)
    try:
        packed = pack_arguments(args, kwargs, dumps)
    except Unserializable:
        # PERF: only a call with jobs among its arguments pays for looking for them.
        args, kwargs, found = with_results(args, kwargs, continues=continues)
        if not found:
            raise
        packed = pack_arguments(args, kwargs, dumps)
    return packed, args, kwargs, (*submission.after, *found)


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
