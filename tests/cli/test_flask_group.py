"""The command line under the names that Flask programs know."""

import os
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import dewar
from dewar.cli import main as cli_main
from dewar.cli.flask_group import FlaskGroup, SeparatedPathType, show_server_banner
from dewar.errors import DewarError

Write = Callable[[str, str], Path]
Served = list[tuple[Any, ...]]

SHOP = """
import click
from dewar import Dewar, current_app

app = Dewar("shop")

@app.cli.command()
def hello():
    click.echo(f"{current_app.name} {current_app.debug}")
"""


@pytest.fixture
def invoke(write: Write) -> Callable[..., Result]:
    """Run the ``flask`` command line beside an app."""
    write("shop.py", SHOP)

    def run(*args: str) -> Result:
        return CliRunner().invoke(FlaskGroup(name="flask"), list(args), prog_name="flask")

    return run


Invoke = Callable[..., Result]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """What a server was started with."""
    calls: Served = []

    def run_simple(*args: Any, **kwargs: Any) -> None:
        calls.append((*args, kwargs))

    monkeypatch.setattr("dewar.cli.flask_group.run_simple", run_simple)
    return calls


def test_the_app_s_commands_are_run(invoke: Invoke) -> None:
    """With the app's context, and in the debug mode that was asked for."""
    assert invoke("--app", "shop", "hello").output == "shop False\n"
    assert invoke("--app", "shop", "--debug", "hello").output == "shop True\n"


def test_variables_begin_with_flask(
    invoke: Invoke, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the app, for debug mode and for each option of a command."""
    for name, value in (("APP", "shop"), ("DEBUG", "1"), ("RUN_HOST", "::1"), ("RUN_PORT", "81")):
        monkeypatch.setenv(f"FLASK_{name}", value)
    assert invoke("hello").output == "shop True\n"
    assert invoke("run").exit_code == 0
    assert served[0][:2] == ("::1", 81)


def test_an_app_is_served_as_flask_serves_it(invoke: Invoke, served: Served) -> None:
    """On port 5000, with threads, and without a debugger unless in debug mode."""
    result = invoke("--app", "shop", "run")
    assert result.output == " * Serving Flask app 'shop'\n * Debug mode: off\n"
    [(host, port, app, options)] = served
    assert (host, port, app.name) == ("127.0.0.1", 5000, "shop")
    assert (options["threaded"], options["use_debugger"], options["ssl_context"]) == (
        True, False, None,
    )  # fmt: skip
    assert not options["use_reloader"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--debug"], {"use_debugger": True}),
        (["--debug", "--no-debugger"], {"use_debugger": False}),
        (["--debugger"], {"use_debugger": True}),
        (["--reload"], {"use_reloader": True}),
        (["--debug", "--no-reload"], {"use_reloader": False}),
        (["--without-threads"], {"threaded": False}),
        (["--extra-files", f"shop.py{os.pathsep}other.py"], {"extra_files": ["shop.py", "other.py"]}),  # noqa: E501
        (["--exclude-patterns", "*.py"], {"exclude_patterns": ["*.py"]}),
    ],
)  # fmt: skip
def test_options_reach_the_server(
    arguments: list[str], expected: dict[str, Any], invoke: Invoke, served: Served
) -> None:
    """Those of ``flask run``, under the names that `run_simple` has for them."""
    result = invoke("--app", "shop", "run", *arguments)
    assert result.exit_code == 0, result.output
    [(_, _, _, options)] = served
    assert {name: options[name] for name in expected} == expected


def test_what_the_server_can_not_do_is_an_error(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the command, without a traceback."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise DewarError("not yet")

    monkeypatch.setattr("dewar.cli.flask_group.run_simple", refuse)
    result = invoke("--app", "shop", "run")
    assert (result.exit_code, "Error: not yet" in result.output) == (1, True)


def test_help_says_that_no_app_was_named(invoke: Invoke, folder: Path) -> None:
    """Above the help, as Flask does; ``dewar`` does not."""
    (folder / "shop.py").unlink()
    result = invoke("--help")
    assert "Error: No app was named" in result.stderr
    assert "routes" in result.stdout
    assert CliRunner().invoke(cli_main.make_cli(), ["--help"]).stderr == ""


def test_the_commands_of_flask_s_extensions_are_there(
    invoke: Invoke, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside those of Dewar's; each is imported when it is called."""

    def entry_points(group: str) -> list[EntryPoint]:
        return [EntryPoint(group.replace(".", "-"), "plugin_of_theirs:command", group)]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    source = "import click\ncommand = click.Command('x', callback=lambda: click.echo('done'))"
    monkeypatch.syspath_prepend(str(write("plugin_of_theirs.py", source).parent))
    assert invoke("flask-commands").output == invoke("dewar-commands").output == "done\n"


def test_a_project_has_its_own_group() -> None:
    """With a factory, as with Flask's."""

    @click.group(cls=FlaskGroup, create_app=lambda: dewar.Dewar("made"))
    def project() -> None:
        """Run the project."""

    @project.command()
    def name() -> None:
        click.echo(dewar.current_app.name)

    assert CliRunner().invoke(project, ["name"]).output == "made\n"
    assert "Run the project." in CliRunner().invoke(project, ["--help"]).output


@pytest.mark.usefixtures("folder")
def test_paths_are_separated_as_in_path(write: Write) -> None:
    """Each is checked."""
    write("a.py", "")
    kind = SeparatedPathType(exists=True)
    assert kind.convert(os.pathsep.join(["a.py", "."]), None, None) == ["a.py", "."]
    with pytest.raises(click.BadParameter, match=r"none\.py"):
        kind.convert(os.pathsep.join(["a.py", "none.py"]), None, None)


def test_the_banner(capsys: pytest.CaptureFixture[str]) -> None:
    """Says what is known."""
    show_server_banner(True, "shop:app")
    assert capsys.readouterr().out == " * Serving Flask app 'shop:app'\n * Debug mode: on\n"
    show_server_banner(None, None)
    assert capsys.readouterr().out == ""


def test_debug_mode_on_an_open_address_does_without_the_debugger(
    invoke: Invoke, served: Served
) -> None:
    """As in a container; a debugger that was asked for by name is refused there."""
    result = invoke("--app", "shop", "run", "--debug", "--host", "0.0.0.0")
    assert "The debugger is off, because 0.0.0.0:5000" in result.output
    assert served[0][3]["use_debugger"] is False
    result = invoke("--app", "shop", "run", "--debugger", "--host", "0.0.0.0")
    assert (result.exit_code, len(served)) == (2, 1)
    assert "can be reached from other machines" in result.output
