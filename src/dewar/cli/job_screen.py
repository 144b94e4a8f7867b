"""A table of jobs on a terminal, with bars, that is redrawn in place.

Importing this module raises `MissingExtra` if rich is not installed.
"""

from collections.abc import Callable, Iterable, Sequence

from dewar.cli.job_texts import COLORS, progress
from dewar.support.printable import printable
from dewar.tasks.errors import MissingExtra
from dewar.tasks.ledger.records import JobRecord

try:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as error:
    raise MissingExtra("Watching jobs on a terminal", "tasks") from error

_BAR = 20


def show_live(
    looked: Iterable[Sequence[JobRecord]],
    title: Callable[[], str],
    console: Console | None = None,
) -> None:
    """Show a table, and redraw it in place for each new list of jobs.

    Args:
        looked: Yields the jobs whenever they have changed.
        title: Returns the text above them.
        console: The terminal; the one of the process by default.
    """
    # All drawing happens here, so rich needs no thread.
    with Live(console=console, auto_refresh=False) as live:
        for jobs in looked:
            live.update(job_table(jobs, title()), refresh=True)


def job_table(jobs: Iterable[JobRecord], title: str) -> Table:
    """Return jobs as a table."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("ID", no_wrap=True)
    for name in ("State", "Progress", "", "Task", "Message"):
        table.add_column(name)
    for job in jobs:
        # Text, and not str: texts of jobs are not markup.
        table.add_row(
            Text(job.id),
            Text(job.state.value, style=COLORS[job.state]),
            ProgressBar(total=1.0, completed=job.fraction or 0.0, width=_BAR),
            Text(progress(job)),
            Text(printable(job.task)),
            Text(printable(job.message or "")),
        )
    return table
