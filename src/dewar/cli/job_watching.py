"""Watching jobs: their changes, line by line or as a table that is redrawn."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import click

from dewar.cli.job_texts import JobFormatter
from dewar.tasks.ledger.records import JobRecord

#: The jobs to show, at one moment.
Jobs = Sequence[JobRecord]


def looks(
    read: Callable[[], Jobs], changes: Callable[[], object], pause: Callable[[], object]
) -> Iterator[Jobs]:
    """Yield the jobs, at once and whenever something has changed.

    Args:
        read: Reads the jobs.
        changes: Returns a value that changes when anything is committed.
        pause: Waits for a short time.
    """
    known: object = None
    while True:
        number = changes()
        if number != known:
            known = number
            yield read()
        pause()


def until_final(looked: Iterable[Jobs]) -> Iterator[Jobs]:
    """Yield the jobs until all have ended, including that time."""
    for jobs in looked:
        yield jobs
        if all(job.state.is_final for job in jobs):
            return


def print_changes(looked: Iterable[Jobs], text: JobFormatter) -> None:
    """Print a line for each job that is new or has changed."""
    known: dict[str, JobRecord] = {}
    for jobs in looked:
        for job in jobs:
            if known.get(job.id) != job:
                click.echo(text(job))
        known = {job.id: job for job in jobs}


def watch(
    looked: Iterable[Jobs], text: JobFormatter, *, is_plain: bool, title: Callable[[], str]
) -> None:
    """Show jobs while they change.

    Args:
        looked: Yields the jobs whenever they have changed.
        text: Writes one of them, if the output is not a terminal.
        is_plain: Whether to print lines on a terminal, too.
        title: Returns the text above them on a terminal.

    Raises:
        MissingExtra: If the output is a terminal and rich is not installed.
    """
    if is_plain or not sys.stdout.isatty():
        print_changes(looked, text)
        return
    from dewar.cli.job_screen import show_live

    show_live(looked, title)
