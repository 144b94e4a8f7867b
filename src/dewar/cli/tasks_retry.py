"""``dewar tasks retry``: runs jobs again that did not end well, some or many."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import click

from dewar.cli.job_options import filter_options, json_option, state_option
from dewar.cli.tasks_interface import JobStore, known_job, open_store
from dewar.tasks.errors import Duplicate, UnknownJob
from dewar.tasks.ledger.ids import is_workflow
from dewar.tasks.ledger.records import JobState

#: How many jobs are read at a time.
_PAGE = 500


@click.command("retry", short_help="Run failed jobs again.")
@click.argument("ids", metavar="[ID...]", nargs=-1)
@state_option(JobState.FAILED, JobState.CANCELLED, JobState.LOST, default=JobState.FAILED)
@filter_options
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def retry_command(
    ctx: click.Context, /, ids: Sequence[str], state: str, yes: bool, as_json: bool, **wanted: Any
) -> None:
    """Run jobs again that failed, were cancelled or are lost.

    Either name them, or say which are meant: dewar tasks retry --task send_mail --since 2h. Those
    that fail again meanwhile are not retried a second time. The name of a workflow stands for its
    jobs that failed or are lost.
    """
    filtered = any(value is not None for value in wanted.values())
    by_state = ctx.get_parameter_source("state") is not click.core.ParameterSource.DEFAULT
    if bool(ids) == (filtered or by_state):
        raise click.UsageError(
            "Say which jobs run again: either their ids, or --state, --task, --queue, --since,"
            " --until or --error."
        )
    store = open_store(ctx)
    found = _named(store, ids)
    if not ids:
        found = _found(store, state, wanted, asks=not yes)
    refused = 0
    for id in found:
        problem = _retry(store, id)
        refused += problem is not None
        if as_json:
            click.echo(json.dumps({"id": id, "retried": problem is None, "error": problem}))
        elif problem is None:
            click.echo(f"{id} waits to run again.")
        else:
            click.echo(f"Error: {problem}", err=True)
    if refused:
        ctx.exit(1)


def _found(store: JobStore, state: str, wanted: dict[str, Any], *, asks: bool) -> Iterator[str]:
    """Yield the ids of the jobs that are meant, after a question."""
    from dewar.tasks.ledger.job_filter import JobFilter

    meant = JobFilter(state=JobState(state), **wanted)
    count = store.count(meant)
    if not count:
        click.echo("There are no such jobs.", err=True)
        return
    if asks:
        click.confirm(f"Run {count} {state} jobs again?", abort=True, err=True)
    while page := store.find(meant, _PAGE):
        yield from (job.id for job in page)
        meant = replace(meant, before=page[-1].id)


def _named(store: JobStore, ids: Sequence[str]) -> Iterator[str]:
    """Yield the ids of jobs; of a workflow, those of its jobs that did not end well by themselves.

    The jobs that these have stopped wait for them again.
    """
    for id in ids:
        jobs = store.workflows.jobs(id) if is_workflow(id) else ()
        ended_badly = [one.id for one in jobs if one.state in (JobState.FAILED, JobState.LOST)]
        yield from ended_badly or [id]


def _retry(store: JobStore, id: str) -> str | None:
    """Have a job run again; return why that is not possible, or None."""
    if is_workflow(id):
        return f"No job of the workflow {id} failed or is lost."
    try:
        if store.retry(id, time.time()):
            return None
        state = known_job(store, id).state.value
    except (Duplicate, UnknownJob) as error:
        return str(error)
    return f"The job {id} is {state}. Only jobs that failed, were cancelled or are lost run again."
