"""``dewar routes``: the routes of an app."""

from collections.abc import Iterable, Sequence
from typing import Any

import click
from werkzeug.routing import Rule

from dewar.cli.errors import PlainCallableError
from dewar.cli.group import ScriptInfo, pass_script_info
from dewar.cli.mounts import MountOption, mount_option, with_mounts
from dewar.mounting.apps import MountedApp, is_app, walk

_AUTOMATIC = frozenset({"HEAD", "OPTIONS"})
_WEBSOCKET = "WEBSOCKET"


@click.command("routes", params=[mount_option], short_help="Show the routes of an app.")
@click.option(
    "--sort",
    "-s",
    type=click.Choice(("endpoint", "methods", "domain", "rule", "match")),
    default="endpoint",
    help="The column to sort by; 'match' is the order in which rules are tried.",
)
@click.option("--all-methods", is_flag=True, help="Show HEAD and OPTIONS as well.")
@pass_script_info
def routes_command(
    info: ScriptInfo, /, sort: str, all_methods: bool, mount: Sequence[MountOption]
) -> None:
    """Show every route of the app, and of the apps that are mounted in it."""
    app = info.load_app()
    nodes = list(walk(with_mounts(app, mount, info)))
    if not any(is_app(node.app) for node in nodes):
        raise PlainCallableError(app)
    hidden: frozenset[str] = frozenset() if all_methods else _AUTOMATIC
    for number, node in enumerate(nodes):
        if len(nodes) > 1:
            click.echo(("\n" if number else "") + f"{node.address}: {_described(node)}")
        for line in _lines(node.app, sort, hidden) if is_app(node.app) else ():
            click.echo(line)


def _described(node: MountedApp) -> str:
    if is_app(node.app):
        return node.name or repr(node.app)
    return f"{node.app!r}, whose routes are not known"


def _lines(app: Any, sort: str, hidden: frozenset[str]) -> list[str]:
    rules = list(app.url_map.iter_rules())
    if not rules:
        return ["No routes were registered."]
    return route_table(rules, "Host" if app.url_map.host_matching else "Subdomain", sort, hidden)


def route_table(rules: Iterable[Rule], domain: str, sort: str, hidden: frozenset[str]) -> list[str]:
    """Return the lines of the table.

    Args:
        rules: The rules, in the order of matching.
        domain: ``"Host"`` or ``"Subdomain"``; the column is shown if any rule has one.
        sort: A column in lower case, ``"domain"`` for either of those two; ``"match"`` or a column
            that is not shown keeps the order of `rules`.
        hidden: The methods to leave out.
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
    if rule.websocket:
        methods = _WEBSOCKET  # a GET for the handshake only
    place = rule.host if domain == "Host" else rule.subdomain
    return [str(rule.endpoint), methods, place or "", rule.rule]


def _line(cells: list[str], widths: list[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()
