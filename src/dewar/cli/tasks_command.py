"""The commands of ``dewar tasks``: they show and manage the jobs of an app in a terminal."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

from dewar.cli.job_arguments import shown_arguments
from dewar.cli.job_options import filter_options, json_option, state_option
from dewar.cli.job_texts import (
    JobFormatter,
    counts_text,
    details,
    header,
    job_json,
    job_line,
    workflow_text,
)
from dewar.cli.job_watching import Jobs, change_waiter, looks, until_final, watch
from dewar.cli.moments import MomentType
from dewar.cli.tasks_interface import JobStore, known_job, open_store, tasks_of
from dewar.cli.tasks_move import move_command
from dewar.cli.tasks_queues import queues_command
from dewar.cli.tasks_retry import retry_command
from dewar.cli.tasks_schedules import schedules_command
from dewar.cli.tasks_work import work_command
from dewar.support.redaction import secret_names
from dewar.tasks.errors import Duplicate, UnknownJob
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.webhooks.records import Delivery

# How many jobs are deleted at a time, because other processes write too.
_PIECE = 1000


_ids_argument = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@click.command("list", short_help="Show the newest jobs.")
@state_option(*JobState)
@filter_options
@click.option("--limit", "-n", type=click.IntRange(1), default=50, help="How many; 50 by default.")
@click.option("--watch", "watches", is_flag=True, help="Keep running and show changes.")
@json_option
@click.pass_context
def list_command(
    ctx: click.Context,
    /,
    state: str | None,
    limit: int,
    watches: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Show jobs, the newest first. With --watch, show changes until Ctrl-C."""
    store = open_store(ctx)
    from dewar.tasks.ledger.job_filter import JobFilter

    meant = JobFilter(state=None if state is None else JobState(state), **wanted)

    def read() -> Jobs:
        return store.find(meant, limit)

    text = _text(ctx, as_json)
    if watches:
        with suppress(KeyboardInterrupt):
            looked = _looks(ctx, store, read)
            watch(looked, text, is_plain=as_json, title=lambda: counts_text(store.counts()))
        return
    jobs = read()
    if jobs and not as_json:
        click.echo(header())
    for job in jobs:
        click.echo(text(job))
    if not jobs:
        click.echo("There are no such jobs.", err=True)


@click.command("show", short_help="Show everything about a job.")
@click.argument("id")
@click.option("--follow", "-f", is_flag=True, help="Wait until it ends; exit with 0 if done.")
@json_option
@click.pass_context
def show_command(ctx: click.Context, id: str, follow: bool, as_json: bool) -> None:
    """Show everything about a job: its arguments, its result, and the traceback of its error.

    With the id of a workflow, show how far it is, and each of its jobs on a line.

    With --follow the exit code is 0 if the job is done, and 1 if it ended otherwise.
    """
    store = open_store(ctx)
    workflow = store.workflows.find(id)
    if workflow is not None:
        click.echo(workflow_text(workflow))
        for one in store.workflows.jobs(id):
            click.echo(_text(ctx, as_json)(one))
        return
    job = known_job(store, id)
    if follow:
        looked = _looks(ctx, store, lambda: [known_job(store, id)])
        watch(until_final(looked), _text(ctx, as_json), is_plain=as_json, title=str)
        job = known_job(store, id)
    if not as_json:
        click.echo(details(job, _callbacks(store, job)))
    elif not follow:
        click.echo(_text(ctx, as_json)(job))
    if follow and job.state is not JobState.DONE:
        ctx.exit(1)


@click.command("cancel", short_help="Cancel jobs.")
@_ids_argument
@click.option("--running", is_flag=True, help="Also running jobs, if their engine can.")
@click.pass_context
def cancel_command(ctx: click.Context, ids: Sequence[str], running: bool) -> None:
    """Cancel jobs that wait; with --running also running ones.

    The process that runs a job soon asks it to end, or stops it. If its engine can do neither, the
    job continues.
    """
    from dewar.tasks.runtime.outcomes import describe_outcome

    store, provider = open_store(ctx), tasks_of(ctx).json

    def describe(record: JobRecord) -> str:
        return describe_outcome(record, record.state, None, None, provider)

    def cancel(id: str) -> str:
        if store.workflows.find(id) is not None:
            cancelled = store.cancel_workflow(id, time.time(), describe)
            left = store.workflows.running(id)
            told = [store.cancel_running(one) for one in left] if running else []
            return (
                f"Cancelled {len(cancelled)} jobs of {id}; told {sum(told)} of {len(left)} to stop."
            )
        if store.cancel(id, time.time(), describe):
            return f"Cancelled {id}."
        job = known_job(store, id)
        if job.state is JobState.RUNNING and running and store.cancel_running(id):
            return f"Told the process that runs {id} to stop it."
        if job.state is JobState.RUNNING:
            raise click.ClickException(f"The job {id} runs. Stop it with: --running.")
        raise click.ClickException(f"The job {id} has ended: it is {job.state.value}.")

    _for_each(ctx, ids, cancel)


@click.command("purge", short_help="Delete jobs that ended long ago.")
@click.option("--before", type=MomentType(), required=True, help="Such as 7d, 12h or 2026-01-31.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.pass_context
def purge_command(ctx: click.Context, before: float, yes: bool) -> None:
    """Delete jobs that ended before a time. Dates without a zone are in UTC."""
    store = open_store(ctx)
    moment = datetime.fromtimestamp(before, UTC)
    if not yes:
        click.confirm(f"Delete all jobs that ended before {moment:%Y-%m-%d %H:%M} UTC?", abort=True)
    count = 0
    while piece := store.purge(before, _PIECE):
        count += piece
    click.echo(f"Deleted {count} jobs.")


#: The commands, in the order of the help.
TASKS_COMMANDS: tuple[click.Command, ...] = (
    list_command,
    show_command,
    cancel_command,
    retry_command,
    queues_command,
    purge_command,
    move_command,
    schedules_command,
    work_command,
)


def _for_each(ctx: click.Context, ids: Sequence[str], act: Callable[[str], str]) -> None:
    """Act on each job and print the result; exit with 1 if one was refused."""
    refused = False
    for id in ids:
        try:
            click.echo(act(id))
        except (click.ClickException, Duplicate, UnknownJob) as error:
            click.echo(f"Error: {error}", err=True)
            refused = True
    if refused:
        ctx.exit(1)


def _callbacks(store: JobStore, job: JobRecord) -> Sequence[Delivery]:
    if job.callback is None:
        return ()
    from dewar.tasks.webhooks.outbox import Outbox

    return Outbox(store.database).of_job(job.id)


def _text(ctx: click.Context, as_json: bool) -> JobFormatter:
    tasks = tasks_of(ctx)
    loads, is_secret = tasks.json.loads, secret_names(tasks.settings().credentials)
    if as_json:
        return lambda job: job_json(job, loads)

    def line(job: JobRecord) -> str:
        task = tasks.maybe_task(job.task)
        names = () if task is None else tuple(task.signature.parameters)
        arguments = shown_arguments(job.arguments, names, is_secret)
        return job_line(job, arguments, is_known=task is not None)

    return line


def _looks(ctx: click.Context, store: JobStore, read: Callable[[], Jobs]) -> Iterator[Jobs]:
    return looks(read, store.changes, change_waiter(ctx, store))
