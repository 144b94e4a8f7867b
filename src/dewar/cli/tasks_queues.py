"""``dewar tasks queues``: how many jobs wait and run in each queue."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict

import click

from dewar.cli.job_options import json_option
from dewar.cli.job_watching import change_waiter
from dewar.cli.tasks_interface import open_store
from dewar.support.printable import printable
from dewar.tasks.ledger.records import QueueOverview
from dewar.tasks.status import time_of

_COLUMNS = (
    ("WAITING", 9), ("LATER", 9), ("RUNNING", 9), ("OLDEST", 9), ("NEXT", 20), ("QUEUE", 16),
    ("TASK", 0),
)  # fmt: skip
#: To read the queues takes this share of the time at most.
_SHARE = 10


@click.command("queues", short_help="Show how many jobs wait and run.")
@click.option("--watch", "watches", is_flag=True, help="Keep running and show changes.")
@json_option
@click.pass_context
def queues_command(ctx: click.Context, watches: bool, as_json: bool) -> None:
    """Show how many jobs wait and run in each queue, by task, and how old the oldest is.

    With --watch, show changes until Ctrl-C.
    """
    store = open_store(ctx)
    from dewar.tasks.ledger.queue_overview import read_queues

    def show() -> None:
        now = time.time()
        for line in _lines(read_queues(store.database, now), now, as_json=as_json):
            click.echo(line)

    if not watches:
        show()
        return
    with suppress(KeyboardInterrupt):
        _watch(show, change_waiter(ctx, store), clears=sys.stdout.isatty() and not as_json)


def _watch(show: Callable[[], object], wait: Callable[[], object], *, clears: bool) -> None:
    while True:
        if clears:
            click.clear()
        began = time.monotonic()
        show()
        # A million jobs take a second or two to count.
        time.sleep(_SHARE * (time.monotonic() - began))
        wait()


def _lines(queues: Sequence[QueueOverview], now: float, *, as_json: bool) -> Iterator[str]:
    if as_json:
        yield from (json.dumps(_plain(one, now)) for one in queues)
        return
    if queues:
        yield _line([name for name, _ in _COLUMNS])
    for one in queues:
        oldest = "-" if one.oldest_due is None else _age(now - one.oldest_due)
        due = "-" if one.next_due is None else f"{time_of(one.next_due):%Y-%m-%dT%H:%M:%SZ}"
        counts = (str(one.waiting), str(one.later), str(one.running))
        yield _line([*counts, oldest, due, printable(one.queue), printable(one.task)])
    if not queues:
        click.echo("No jobs wait or run.", err=True)


def _plain(one: QueueOverview, now: float) -> dict[str, object]:
    """Return a queue as JSON has it: times in UTC, and the age of the oldest job in seconds."""
    oldest = one.oldest_due
    return {
        **asdict(one),
        "oldest_due": None if oldest is None else time_of(oldest).isoformat(),
        "oldest_seconds": None if oldest is None else max(now - oldest, 0.0),
        "next_due": None if one.next_due is None else time_of(one.next_due).isoformat(),
    }


def _age(seconds: float) -> str:
    """Return an age with two units at most."""
    whole = max(int(seconds), 0)
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // small}{smaller}"
    return f"{whole // 60}m{whole % 60}s" if whole >= 60 else f"{whole}s"


def _line(cells: Sequence[str]) -> str:
    padded = (cell.ljust(width) for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
    return "  ".join(padded).rstrip()
