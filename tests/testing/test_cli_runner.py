"""`DewarCliRunner`: an app's commands, run in a test."""

from types import ModuleType
from typing import Any

import click
import pytest

import dewar
from dewar.cli.group import ScriptInfo
from dewar.testing.cli_runner import DewarCliRunner


@pytest.fixture
def app_with_commands(app: Any, framework: ModuleType) -> Any:
    """The shop with a command."""

    @app.cli.command("count")
    @click.option("--by", type=int, default=1)
    def count(by: int) -> None:
        click.echo(f"{framework.current_app.name} {by}")

    return app


def test_commands_of_the_app_are_run(app_with_commands: Any) -> None:
    """Without a command of its own `invoke` runs those of ``app.cli``."""
    result = app_with_commands.test_cli_runner().invoke(args=["count", "--by", "3"])
    assert (result.output, result.exit_code) == ("shop 3\n", 0)


def test_a_command_s_own_error_is_in_the_result(app_with_commands: Any) -> None:
    """Wrong usage ends with 2 and is explained."""
    result = app_with_commands.test_cli_runner().invoke(args=["count", "--by", "x"])
    assert result.exit_code == 2
    assert "'x' is not a valid integer" in result.output


def test_any_command_gets_the_app(shop: Any) -> None:
    """A command that is not registered finds the app in its `ScriptInfo`."""

    @click.command()
    @click.pass_obj
    def which(info: ScriptInfo) -> None:
        click.echo(info.load_app().name)

    assert shop.test_cli_runner().invoke(which).output == "shop\n"


def test_another_object_may_be_given(shop: Any) -> None:
    """`obj` goes before the runner's own."""

    @click.command()
    @click.pass_obj
    def which(info: ScriptInfo) -> None:
        click.echo(info.load_app().name)

    other = ScriptInfo(create_app=lambda: dewar.Dewar("other"))
    assert shop.test_cli_runner().invoke(which, obj=other).output == "other\n"


def test_a_subclass_takes_the_runner_s_place(shop: Any) -> None:
    """`test_cli_runner_class` is used, and Click's own options reach it."""

    class Mine(DewarCliRunner):
        pass

    shop.test_cli_runner_class = Mine
    runner = shop.test_cli_runner(env={"A": "b"})
    assert isinstance(runner, Mine)
    assert runner.env == {"A": "b"}
    assert runner.app is shop


def test_no_context_is_left_behind(shop: Any) -> None:
    """The app context ends with the command."""

    @shop.cli.command()
    def nothing() -> None:
        assert dewar.has_app_context()

    assert shop.test_cli_runner().invoke(args=["nothing"]).exit_code == 0
    assert not dewar.has_app_context()
