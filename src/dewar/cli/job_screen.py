"""A table of jobs on a terminal, with bars, that changes on the spot.

To import this module raises `MissingExtra` where rich is not installed.
"""

from collections.abc import Callable, Iterable, Sequence

from dewar.cli.job_texts import COLORS, printable, progress
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
    """Show a table in the place of the one before, whenever there is a new look at the jobs.

    Args:
        looked: The jobs, whenever they have changed.
        title: Returns what stands above them.
        console: The terminal; that of the process by default.
    """
    # Nothing is drawn but here: no thread of rich's is needed.
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
        # Text, and not str: what jobs say is no markup.
        table.add_row(
            Text(job.id),
            Text(job.state.value, style=COLORS[job.state]),
            ProgressBar(total=1.0, completed=job.fraction or 0.0, width=_BAR),
            Text(progress(job)),
            Text(printable(job.task)),
            Text(printable(job.message or "")),
        )
    return table
