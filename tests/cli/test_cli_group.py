"""`AppGroup`, `ScriptInfo` and `with_appcontext`: commands that belong to an app."""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import flask
import flask.cli
import pytest
from click.testing import CliRunner

import dewar
from dewar.cli.errors import PlainCallableError
from dewar.cli.flask_group import FlaskGroup
from dewar.cli.group import AppGroup, ScriptInfo, pass_script_info, with_appcontext
from dewar.cli.main import DewarGroup

Write = Callable[[str, str], Path]


@pytest.fixture(params=[dewar, flask], ids=["dewar", "flask"])
def framework(request: pytest.FixtureRequest) -> ModuleType:
    """Dewar, and Flask to hold it against."""
    return request.param


@pytest.fixture
def app(framework: ModuleType) -> Any:
    """An app of either framework."""
    return (dewar.Dewar if framework is dewar else flask.Flask)("shop")


def info_of(app: Any) -> Any:
    """Return the framework's own `ScriptInfo` for an app."""
    return (ScriptInfo if isinstance(app, dewar.Dewar) else flask.cli.ScriptInfo)(
        create_app=lambda: app
    )


def run(app: Any, *args: str) -> click.testing.Result:
    """Run a command of the app."""
    return CliRunner().invoke(app.cli, list(args), obj=info_of(app))


def test_a_command_runs_in_the_app_s_context(app: Any, framework: ModuleType) -> None:
    """`current_app` and `g` work in it, and are gone after it."""

    @app.cli.command("name")
    def name() -> None:
        framework.g.x = 1
        click.echo(framework.current_app.name)

    assert run(app, "name").output == "shop\n"
    assert not framework.has_app_context()


def test_a_command_can_do_without_the_context(app: Any, framework: ModuleType) -> None:
    """``with_appcontext=False`` leaves the context out."""

    @app.cli.command("name", with_appcontext=False)
    def name() -> None:
        click.echo(framework.has_app_context())

    assert run(app, "name").output == "False\n"


def test_a_group_s_commands_run_in_the_context(app: Any, framework: ModuleType) -> None:
    """A group inside ``app.cli`` makes commands of the same kind."""

    @app.cli.group()
    def user() -> None:
        pass

    @user.command()
    @click.argument("name")
    def add(name: str) -> None:
        click.echo(f"{framework.current_app.name} {name}")

    assert run(app, "user", "add", "ann").output == "shop ann\n"


def test_decorators_need_no_parentheses() -> None:
    """``@app.cli.command`` and ``@app.cli.group`` work bare, as Click's do."""
    app = dewar.Dewar("shop")

    @app.cli.command
    def name() -> None:
        """Print the name."""
        click.echo(dewar.current_app.name)

    @app.cli.group
    def user() -> None:
        """Work with users."""

    assert isinstance(name, click.Command)
    assert name.help == "Print the name."
    assert isinstance(user, AppGroup)
    assert run(app, "name").output == "shop\n"


def test_any_command_can_be_given_the_context(app: Any, framework: ModuleType) -> None:
    """`with_appcontext` is for commands that are made elsewhere."""
    decorate = with_appcontext if framework is dewar else flask.cli.with_appcontext

    @click.command()
    @decorate
    def name() -> None:
        """Say the name."""
        click.echo(framework.current_app.name)

    result = CliRunner().invoke(name, obj=info_of(app))
    assert result.output == "shop\n"
    assert name.help == "Say the name."


def test_a_context_that_is_there_is_kept(app: Any, framework: ModuleType) -> None:
    """A command inside an app context uses that."""

    @app.cli.command("seen")
    def seen() -> None:
        click.echo(framework.g.get("seen"))

    with app.app_context():
        framework.g.seen = "before"
        assert run(app, "seen").output == "before\n"


def test_the_context_lasts_as_long_as_the_command(app: Any, framework: ModuleType) -> None:
    """Teardown functions run once, after the command."""
    steps: list[str] = []
    app.teardown_appcontext(lambda error: steps.append(f"teardown {error}"))

    @app.cli.command("work")
    @click.pass_context
    def work(ctx: click.Context) -> None:
        ctx.call_on_close(lambda: steps.append("close"))
        steps.append("work")

    run(app, "work")
    assert steps == ["work", "close", "teardown None"]


def test_a_plain_callable_has_no_context() -> None:
    """A command that needs an app says so where it gets any other WSGI callable."""

    def plain(environ: Any, start_response: Any) -> list[bytes]:
        return []

    @click.command()
    @with_appcontext
    def name() -> None:
        pass

    result = CliRunner().invoke(name, obj=ScriptInfo(create_app=lambda: plain))
    assert result.exit_code == 2
    assert "needs a Dewar app" in result.output
    assert "dewar run" in result.output
    with pytest.raises(PlainCallableError) as caught:
        CliRunner().invoke(
            name,
            obj=ScriptInfo(create_app=lambda: plain),
            standalone_mode=False,
            catch_exceptions=False,
        )
    assert caught.value.given is plain


def test_script_info_is_passed(app: Any) -> None:
    """`pass_script_info` gives a command the `ScriptInfo`, and commands share its data."""

    @click.command()
    @pass_script_info
    def show(info: ScriptInfo) -> None:
        info.data["seen"] = True

    info = ScriptInfo(create_app=lambda: app)
    assert CliRunner().invoke(show, obj=info).exit_code == 0
    assert info.data == {"seen": True}


def test_an_app_is_loaded_once() -> None:
    """However often it is asked for, the app is made once."""
    info = ScriptInfo(create_app=lambda: dewar.Dewar("shop"))
    assert info.load_app() is info.load_app()


@pytest.mark.parametrize("variable", ["DEWAR_APP", "FLASK_APP"])
def test_the_environment_names_the_app(
    variable: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a path the variable is asked, Dewar's before Flask's."""
    write("shop.py", "from dewar import Dewar\nmine = Dewar('mine')\n")
    monkeypatch.setenv("FLASK_APP", "other:app")
    monkeypatch.setenv(variable, "shop:mine")
    assert ScriptInfo().load_app().name == "mine"
    assert repr(ScriptInfo()) == "<ScriptInfo 'shop:mine'>"


@pytest.mark.parametrize(
    ("environ", "debug"),
    [
        ({}, False),
        ({"DEWAR_DEBUG": "1"}, True),
        ({"FLASK_DEBUG": "true"}, True),
        ({"FLASK_DEBUG": "1", "DEWAR_DEBUG": "0"}, False),
    ],
)
def test_the_environment_says_whether_to_debug(
    environ: dict[str, str], debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loaded app gets the debug mode of the environment, unless told to keep its own."""
    app = dewar.Dewar("shop")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    app.debug = not debug
    assert ScriptInfo(create_app=lambda: app, set_debug_flag=False).load_app().debug is not debug
    assert ScriptInfo(create_app=lambda: app).load_app().debug is debug


def test_a_script_that_runs_its_app_can_be_loaded(write: Write) -> None:
    """A module that calls `app.run()` at its end is imported without serving."""
    write("shop.py", "from dewar import Dewar\napp = Dewar('shop')\napp.run()\n")
    assert ScriptInfo("shop").load_app().name == "shop"
    assert "DEWAR_RUN_FROM_CLI" not in os.environ


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["--debug"], "1 1"), (["--no-debug"], "0 0"), ([], "None None")],
)
@pytest.mark.parametrize("cls", [DewarGroup, FlaskGroup])
def test_a_program_reads_from_the_environment_how_it_was_started(
    write: Write, cls: type[DewarGroup], options: list[str], expected: str
) -> None:
    """Also by the names that Flask has for it, while it is imported and in its commands."""
    write(
        "shop.py",
        """
        import os
        from dewar import Dewar
        def tell():
            debug = [os.environ.get(name) for name in ("DEWAR_DEBUG", "FLASK_DEBUG")]
            print(*debug, os.environ.get("FLASK_RUN_FROM_CLI"))
        app = Dewar("shop")
        app.cli.command()(tell)
        tell()
        """,
    )
    ended = CliRunner().invoke(cls(), ["--app", "shop", *options, "tell"])
    assert ended.output == f"{expected} true\n" * 2
