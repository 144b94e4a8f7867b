"""The ``dewar`` command line as a whole."""

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import dewar
from dewar.cli import main as cli_main
from dewar.cli.main import DewarGroup
from dewar.cli.options import build_of
from dewar.contexts.current import contexts

Write = Callable[[str, str], Path]
Invoke = Callable[..., Result]

SHOP = """
import click
from dewar import Dewar, current_app, g

app = Dewar("shop")
admin = Dewar("admin")

@app.cli.command()
@click.option("--loud", is_flag=True)
def hello(loud):
    "Say hello."
    click.echo(current_app.name.upper() if loud else current_app.name)

@app.cli.command()
@click.option("--who", callback=lambda ctx, param, value: current_app.name)
def callback(who):
    click.echo(who)

@admin.cli.command()
def debug():
    click.echo(current_app.debug)
"""


@pytest.fixture
def shop(write: Write) -> Path:
    """A file with an app that has commands."""
    return write("shop.py", SHOP)


def test_the_version_is_told(invoke: Invoke) -> None:
    """`--version` names Python, Dewar, how it is built, and Werkzeug."""
    expected = (
        f"Python {platform.python_version()}\n"
        f"Dewar {dewar.__version__} (pure Python)\nWerkzeug {version('werkzeug')}\n"
    )
    assert invoke("--version").output == expected


@pytest.mark.parametrize("suffix", EXTENSION_SUFFIXES)
def test_one_extension_module_makes_a_build_compiled(tmp_path: Path, suffix: str) -> None:
    """Python loads it instead of the source beside it, in any folder of the package."""
    package = tmp_path / "package" / "inner"
    package.mkdir(parents=True)
    (package / "reader.py").touch()
    assert build_of(tmp_path) == "pure Python"
    (package / f"reader{suffix}").touch()
    assert build_of(tmp_path) == "compiled"


@pytest.mark.usefixtures("folder")
def test_help_needs_no_app(invoke: Invoke) -> None:
    """Without an app the help shows Dewar's own commands, and no error."""
    for args in ([], ["--help"]):
        result = invoke(*args)
        assert result.stderr == "" or not args  # Click prints the help of a bare call as an error
        assert [word in result.output for word in ("run", "shell", "routes")] == [True] * 3
        assert "Error" not in result.output


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("args", [["--app", "shop", "--help"], ["-A", "shop.py:app", "--help"]])
def test_help_shows_the_app_s_commands(args: list[str], invoke: Invoke) -> None:
    """The commands of the app are listed with Dewar's."""
    assert "Say hello." in invoke(*args).output


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("args", [[], ["--help"]])
def test_files_may_name_the_app_for_help(args: list[str], write: Write, invoke: Invoke) -> None:
    """A variable in ``.env`` counts for the help as well, whatever was asked for."""
    write(".env", "DEWAR_APP=shop\n")
    assert "Say hello." in invoke(*args).output


def test_help_shows_what_is_wrong_with_the_app(write: Write, invoke: Invoke) -> None:
    """An app that cannot be loaded is told of, and Dewar's commands are listed all the same."""
    write("broken.py", "import nothing_like_it")
    write("factory.py", "def create_app(): raise LookupError('as asked')")
    for name, message in (
        ("broken", "No module named 'nothing_like_it'"),
        ("factory", "LookupError: as asked"),
        ("brken", "Did you mean 'broken'?"),
    ):
        result = invoke("--app", name, "--help")
        assert message in result.stderr
        assert "Serve an app." in result.stdout
        assert result.exit_code == 0


@pytest.mark.usefixtures("shop")
def test_a_command_of_the_app_is_run(invoke: Invoke) -> None:
    """The app's command has the app's context, its callbacks as well, and leaves none."""
    assert invoke("--app", "shop", "hello").output == "shop\n"
    assert invoke("--app", "shop", "hello", "--loud").output == "SHOP\n"
    assert invoke("--app", "shop", "callback").output == "shop\n"
    assert contexts.state is None


@pytest.mark.usefixtures("shop")
def test_another_app_s_context_is_not_taken_for_it(invoke: Invoke) -> None:
    """Inside a foreign app context a command gets its own."""
    with dewar.Dewar("foreign").app_context():
        assert invoke("--app", "shop", "hello").output == "shop\n"
        assert dewar.current_app.name == "foreign"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("args", "debug"), [([], "False"), (["--debug"], "True"), (["--no-debug"], "False")]
)
def test_debug_mode_reaches_the_app(args: list[str], debug: str, invoke: Invoke) -> None:
    """`--debug` before the command turns it on."""
    assert invoke("--app", "shop:admin", *args, "debug").output == f"{debug}\n"


@pytest.mark.usefixtures("shop")
def test_the_debug_option_goes_before_the_environment(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is typed wins over the variable."""
    monkeypatch.setenv("DEWAR_DEBUG", "1")
    assert invoke("--app", "shop:admin", "debug").output == "True\n"
    assert invoke("--app", "shop:admin", "--no-debug", "debug").output == "False\n"


def test_a_command_that_is_not_there(shop: Path, invoke: Invoke) -> None:
    """The error names it; where the app could have had it, so does what is wrong with the app."""
    result = invoke("--app", "shop", "hullo")
    assert result.exit_code == 2
    assert "No such command 'hullo'" in result.output
    result = invoke("hello")
    assert "No app was named" in result.output
    assert "No such command 'hello'" in result.output


def test_an_env_file_is_read(shop: Path, write: Write, invoke: Invoke) -> None:
    """`--env-file` sets variables before anything else, and before ``.env``."""
    write(".env", "DEWAR_APP=wrong\n")
    write("mine", "DEWAR_APP=shop:app\n")
    assert invoke("--env-file", "mine", "hello").output == "shop\n"


def test_an_env_file_has_to_exist(invoke: Invoke, folder: Path) -> None:
    """A file that is not there is an error."""
    result = invoke("--env-file", "missing", "routes")
    assert (result.exit_code, "does not exist" in result.output) == (2, True)


def test_an_env_file_needs_the_library(
    write: Write, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without python-dotenv the option says what to install."""
    write("mine", "")
    monkeypatch.setattr("dewar.cli.options.find_spec", lambda name: None)
    result = invoke("--env-file", "mine", "routes")
    assert result.exit_code == 2
    assert "pip install 'dewar-web[dotenv]'" in result.output


def test_a_project_has_its_own_command_line() -> None:
    """A `DewarGroup` with a factory needs no `--app`, and can be cut down to it."""

    def create_app() -> Any:
        app = dewar.Dewar("mine")
        app.cli.command("name")(lambda: click.echo(dewar.current_app.name))
        return app

    @click.group(cls=DewarGroup, create_app=create_app, add_default_commands=False)
    def mine() -> None:
        """Run mine."""

    @mine.command()
    def direct() -> None:
        click.echo(f"direct {dewar.current_app.name}")

    runner = CliRunner()
    assert runner.invoke(mine, ["name"]).output == "mine\n"
    assert runner.invoke(mine, ["direct"]).output == "direct mine\n"
    listed = runner.invoke(mine, ["--help"]).output
    assert "Run mine." in listed
    assert "routes" not in listed


def test_two_command_lines_share_nothing() -> None:
    """A command added to one is not in another."""
    first, second = cli_main.make_cli(), cli_main.make_cli()
    first.command("extra")(lambda: None)
    assert "extra" in first.commands
    assert "extra" not in second.commands


def test_packages_bring_commands(
    monkeypatch: pytest.MonkeyPatch, invoke: Invoke, write: Write
) -> None:
    """An entry point is a command, imported when it is called."""
    points = [
        EntryPoint("extra", "plugin_of_ours:extra", "dewar.commands"),
        EntryPoint("bad", "not_installed_at_all:x", "dewar.commands"),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    monkeypatch.syspath_prepend(str(write("plugin_of_ours.py", "").parent))
    write("plugin_of_ours.py", "import click\nextra = click.Command('x', callback=lambda: 3)")
    assert invoke("extra").exit_code == 0
    assert isinstance(invoke("bad").exception, ModuleNotFoundError)


@pytest.mark.usefixtures("shop")
def test_the_installed_command_works(folder: Path) -> None:
    """``dewar`` is on the path of its environment, and finds modules in the working directory."""
    command = Path(sys.executable).with_name("dewar")
    environ = {**os.environ, "DEWAR_APP": "shop"}
    result = subprocess.run(
        [command, "hello", "--loud"], capture_output=True, text=True, check=False, env=environ
    )
    assert (result.stdout, result.stderr, result.returncode) == ("SHOP\n", "", 0)
