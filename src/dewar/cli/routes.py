"""``dewar routes``: which URL leads to which view."""

from collections.abc import Iterable

import click
from werkzeug.routing import Rule

from dewar.cli.group import command_app, with_appcontext

__all__ = ["route_table", "routes_command"]

_AUTOMATIC = frozenset({"HEAD", "OPTIONS"})


@click.command("routes", short_help="Show the routes of an app.")
@click.option(
    "--sort",
    "-s",
    type=click.Choice(("endpoint", "methods", "domain", "rule", "match")),
    default="endpoint",
    help="What to sort by; 'match' is the order in which rules are tried.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS as well.")
@click.pass_context
@with_appcontext
def routes_command(ctx: click.Context, sort: str, all_methods: bool) -> None:
    """Show every route of the app: its endpoint, its methods and its rule."""
    url_map = command_app(ctx).url_map
    rules = list(url_map.iter_rules())
    if not rules:
        click.echo("No routes were registered.")
        return
    domain = "Host" if url_map.host_matching else "Subdomain"
    for line in route_table(rules, domain, sort, hidden=frozenset() if all_methods else _AUTOMATIC):
        click.echo(line)


def route_table(rules: Iterable[Rule], domain: str, sort: str, hidden: frozenset[str]) -> list[str]:
    """Return the lines of the table.

    Args:
        rules: the rules, in the order of matching.
        domain: ``"Host"`` or ``"Subdomain"``; the column is there if any rule has one.
        sort: a column in lower case, ``"domain"`` for either of those two; ``"match"`` keeps
            the order of `rules`, as a column that is not there does.
        hidden: the methods to leave out.
    """
    columns = ["endpoint", "methods", "domain", "rule"]
    rows = [_row(rule, domain, hidden) for rule in rules]
    headers = ["Endpoint", "Methods", domain, "Rule"]
    if not any(row[2] for row in rows):
        for row in (columns, headers, *rows):
            del row[2]
    if sort in columns:
        position = columns.index(sort)
        rows.sort(key=lambda row: row[position])
    widths = [max(map(len, cells)) for cells in zip(headers, *rows, strict=True)]
    lines = [headers, ["-" * width for width in widths], *rows]
    return [_line(cells, widths) for cells in lines]


def _row(rule: Rule, domain: str, hidden: frozenset[str]) -> list[str]:
    methods = ", ".join(sorted((rule.methods or set()) - hidden))
    place = rule.host if domain == "Host" else rule.subdomain
    return [str(rule.endpoint), methods, place or "", rule.rule]


def _line(cells: list[str], widths: list[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()
