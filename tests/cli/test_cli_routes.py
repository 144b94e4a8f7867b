"""``dewar routes``: the table is Flask's."""

from typing import Any

import click
import flask
import flask.cli
import pytest
from click.testing import CliRunner

import dewar
from dewar.cli.group import ScriptInfo
from dewar.cli.routes import routes_command


def shops(**kwargs: Any) -> list[Any]:
    """Return the same app from either framework."""
    apps: list[Any] = []
    for make in (dewar.Dewar, flask.Flask):
        app: Any = make("shop", static_folder=None, **kwargs)
        place = "host" if kwargs.get("host_matching") else "subdomain"
        app.add_url_rule("/z/<int:x>", "aa", methods=["DELETE", "GET"])
        app.add_url_rule("/b", "ccc", methods=["POST"], **{place: "admin"})
        app.add_url_rule("/a/much/longer/rule", "bb.view", methods=["PATCH"])
        apps.append(app)
    return apps


def tables(apps: list[Any], *args: str) -> list[list[str]]:
    """Return the lines that either framework prints, without the spaces at their ends."""
    printed = []
    for app in apps:
        command: click.Command = routes_command
        info: Any = ScriptInfo(create_app=lambda app=app: app)
        if isinstance(app, flask.Flask):
            command = flask.cli.routes_command
            info = flask.cli.ScriptInfo(create_app=lambda app=app: app)
        result = CliRunner().invoke(command, args, obj=info)
        assert result.exit_code == 0
        printed.append([line.rstrip() for line in result.output.splitlines()])
    return printed


@pytest.mark.parametrize("sort", ["endpoint", "methods", "domain", "rule", "match"])
@pytest.mark.parametrize("kwargs", [{}, {"host_matching": True}], ids=["subdomains", "hosts"])
@pytest.mark.parametrize("more", [[], ["--all-methods"]], ids=["few", "all"])
def test_the_table_is_flask_s(sort: str, kwargs: dict[str, Any], more: list[str]) -> None:
    """Columns, widths and order, whatever it is sorted by."""
    ours, theirs = tables(shops(**kwargs), "--sort", sort, *more)
    assert ours == theirs
    assert len(ours) == 5


@pytest.mark.parametrize("sort", ["endpoint", "domain"])
def test_without_domains_there_is_no_column_for_them(sort: str) -> None:
    """The column is there only where a rule has one; sorting by it keeps the order."""
    apps = [make("shop", static_folder=None) for make in (dewar.Dewar, flask.Flask)]
    for app in apps:
        app.add_url_rule("/b", "b")
        app.add_url_rule("/a", "a")
    ours, theirs = tables(apps, "--sort", sort)
    assert ours == theirs
    assert ours[0].split() == ["Endpoint", "Methods", "Rule"]


def test_no_routes_are_told_of() -> None:
    """An app without routes says so."""
    app = dewar.Dewar("shop", static_folder=None)
    result = CliRunner().invoke(routes_command, obj=ScriptInfo(create_app=lambda: app))
    assert result.output == "No routes were registered.\n"


def test_websockets_are_named_in_place_of_their_method() -> None:
    """Its GET is only the handshake."""
    app = dewar.Dewar("shop", static_folder=None)

    @app.websocket("/chat/<room>")
    async def chat(ws: Any, room: str) -> None:
        """Do nothing; nobody connects."""

    assert tables([app])[0][2:] == ["chat      WEBSOCKET  /chat/<room>"]
