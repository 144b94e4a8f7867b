"""The options of ``dewar tasks`` that say which jobs are meant."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dewar.cli.moments import MomentType
from dewar.tasks.ledger.records import JobState

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


def filter_options(function: F) -> F:
    """Add the options of `JobFilter`, except the state, as keyword arguments of their names."""
    options = (
        click.option("--task", metavar="NAME", help="Only jobs of this task."),
        click.option("--queue", metavar="NAME", help="Only jobs in this queue."),
        click.option(
            "--since", type=MomentType(), help="Only jobs accepted since: 2h, 2026-01-31."
        ),
        click.option("--until", type=MomentType(), help="Only jobs accepted before."),
        click.option("--error", metavar="TEXT", help="Only jobs whose error has this text."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def state_option(*states: JobState, default: JobState | None = None) -> Callable[[F], F]:
    """Return the option for one of some states."""
    return click.option(
        "--state",
        type=click.Choice([state.value for state in states]),
        default=None if default is None else default.value,
        help="Only these." if default is None else f"Only these; {default.value} by default.",
    )
