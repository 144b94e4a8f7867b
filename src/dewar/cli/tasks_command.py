"""``dewar tasks``: shows and manages the jobs of an app in a terminal."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

from dewar.cli.job_texts import JobFormatter, counts_text, details, header, job_json, job_line
from dewar.cli.job_watching import Jobs, looks, until_final, watch
from dewar.cli.moments import MomentType
from dewar.cli.tasks_interface import JobStore, open_store, tasks_of
from dewar.cli.tasks_work import work_command
from dewar.errors import DewarError
from dewar.tasks.errors import UnknownJob
from dewar.tasks.ledger.records import JobRecord, JobState
from dewar.tasks.webhooks.records import Delivery

# How many jobs are deleted at a time, because other processes write too.
_PIECE = 1000


class _TasksGroup(click.Group):
    """A group whose commands end with one line after an error, and not with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException:
            raise
        except DewarError as error:
            raise click.ClickException(str(error)) from error


@click.group("tasks", cls=_TasksGroup, short_help="Show and manage the jobs of an app.")
def tasks_group() -> None:
    """Show and manage the jobs of an app. Only 'work' runs jobs in this process."""


_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
_ids_argument = click.argument("ids", metavar="ID...", nargs=-1, required=True)


@click.command("list", short_help="Show the newest jobs.")
@click.option("--state", type=click.Choice([state.value for state in JobState]), help="Only these.")
@click.option("--task", metavar="NAME", help="Only jobs of this task.")
@click.option("--limit", "-n", type=click.IntRange(1), default=50, help="How many; 50 by default.")
@click.option("--watch", "watches", is_flag=True, help="Keep running and show changes.")
@_json_option
@click.pass_context
def list_command(
    ctx: click.Context,
    state: str | None,
    task: str | None,
    limit: int,
    watches: bool,
    as_json: bool,
) -> None:
    """Show jobs, the newest first. With --watch, show changes until Ctrl-C."""
    store = open_store(ctx)
    wanted = None if state is None else JobState(state)

    def read() -> Jobs:
        return store.list(state=wanted, task=task, limit=limit)

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
@_json_option
@click.pass_context
def show_command(ctx: click.Context, id: str, follow: bool, as_json: bool) -> None:
    """Show everything about a job: its arguments, its result, and the traceback of its error.

    With --follow the exit code is 0 if the job is done, and 1 if it ended otherwise.
    """
    store = open_store(ctx)
    job = _known(store, id)
    if follow:
        looked = _looks(ctx, store, lambda: [_known(store, id)])
        watch(until_final(looked), _text(ctx, as_json), is_plain=as_json, title=str)
        job = _known(store, id)
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

    The process that runs a job stops it soon. If its engine cannot, the job continues.
    """
    from dewar.tasks.runtime.outcomes import describe_outcome

    store, provider = open_store(ctx), tasks_of(ctx).json

    def describe(record: JobRecord) -> str:
        return describe_outcome(record, record.state, None, None, provider)

    def cancel(id: str) -> str:
        if store.cancel(id, time.time(), describe):
            return f"Cancelled {id}."
        job = _known(store, id)
        if job.state is JobState.RUNNING and running and store.cancel_running(id):
            return f"Told the process that runs {id} to stop it."
        if job.state is JobState.RUNNING:
            raise click.ClickException(f"The job {id} runs. Stop it with: --running.")
        raise click.ClickException(f"The job {id} has ended: it is {job.state.value}.")

    _for_each(ctx, ids, cancel)


@click.command("retry", short_help="Run failed jobs again.")
@_ids_argument
@click.pass_context
def retry_command(ctx: click.Context, ids: Sequence[str]) -> None:
    """Run jobs again that failed, were cancelled or are lost."""
    store = open_store(ctx)

    def retry(id: str) -> str:
        if store.retry(id, time.time()):
            return f"{id} waits to run again."
        state = _known(store, id).state.value
        raise click.ClickException(
            f"The job {id} is {state}. Only jobs that failed, were cancelled or are lost run again."
        )

    _for_each(ctx, ids, retry)


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


for _command in (
    list_command,
    show_command,
    cancel_command,
    retry_command,
    purge_command,
    work_command,
):
    tasks_group.add_command(_command)


def _for_each(ctx: click.Context, ids: Sequence[str], act: Callable[[str], str]) -> None:
    """Act on each job and print the result; exit with 1 if one was refused."""
    refused = False
    for id in ids:
        try:
            click.echo(act(id))
        except (click.ClickException, UnknownJob) as error:
            click.echo(f"Error: {error}", err=True)
            refused = True
    if refused:
        ctx.exit(1)


def _known(store: JobStore, id: str) -> JobRecord:
    job = store.get(id)
    if job is None:
        raise UnknownJob(id)
    return job


def _callbacks(store: JobStore, job: JobRecord) -> Sequence[Delivery]:
    if job.callback is None:
        return ()
    from dewar.tasks.webhooks.outbox import Outbox

    return Outbox(store.database).of_job(job.id)


def _text(ctx: click.Context, as_json: bool) -> JobFormatter:
    tasks = tasks_of(ctx)
    loads, known = tasks.json.loads, set(tasks.names())
    if as_json:
        return lambda job: job_json(job, loads)
    return lambda job: job_line(job, is_known=job.task in known)


def _looks(ctx: click.Context, store: JobStore, read: Callable[[], Jobs]) -> Iterator[Jobs]:
    poll = tasks_of(ctx).settings().poll
    return looks(read, store.changes, lambda: time.sleep(poll))
