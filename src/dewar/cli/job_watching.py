"""Watching jobs: their changes, line by line or as a table that is redrawn."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import click

from dewar.cli.job_texts import JobFormatter
from dewar.cli.tasks_interface import tasks_of
from dewar.tasks.ledger.records import JobRecord

# The longest wait for a notice, and the least seconds between two looks.
_SELDOM, _PAUSE = 1.0, 0.05

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


def change_waiter(ctx: click.Context, store: Any) -> Callable[[], object]:
    """Return a function that waits until the jobs of a ledger may have changed.

    Processes that work with the ledger tell this one. If they cannot be heard, it waits for the
    seconds of TASKS_POLL; otherwise for one second at most, because a notice may be lost.
    """
    from dewar.tasks.ledger.notifications import Topic
    from dewar.tasks.ledger.owners import this_owner

    poll, changed = tasks_of(ctx).settings().poll, threading.Event()
    notifications = store.notifications
    notifications.listen(this_owner(time.time()).id, set(Topic), lambda _: changed.set())

    def wait() -> None:
        time.sleep(min(_PAUSE, poll))
        changed.wait(max(poll, _SELDOM) if notifications.is_listening else poll)
        changed.clear()

    return wait


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
