"""``dewar shell``: a prompt with the app in it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import dewar
from dewar.cli.group import ScriptInfo
from dewar.cli.shell import shell_command

Write = Callable[[str, str], Path]


@pytest.fixture
def app() -> Any:
    """An app with a name for the shell."""
    app = dewar.Dewar("shop")
    app.shell_context_processor(lambda: {"answer": 42})
    return app


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the history and the startup file of whoever runs the tests alone."""
    monkeypatch.delattr(sys, "__interactivehook__", raising=False)
    monkeypatch.delenv("PYTHONSTARTUP", raising=False)
    # The prompt sets these for good.
    for name in ("ps1", "ps2", "last_exc", "last_value", "last_type", "last_traceback"):
        monkeypatch.setattr(sys, name, None, raising=False)
        monkeypatch.delattr(sys, name)


def talk(app: Any, typed: str) -> Result:
    """Type something into the shell."""
    return CliRunner().invoke(shell_command, obj=ScriptInfo(create_app=lambda: app), input=typed)


def test_the_names_are_there(app: Any) -> None:
    """The app, `g` and the processors' names can be used, in the app's context."""
    typed = "import dewar\nprint(app.name, answer, g is not None, dewar.current_app.name)\n"
    result = talk(app, typed)
    assert result.exit_code == 0
    assert "shop 42 True shop" in result.output


def test_the_names_need_no_context(app: Any) -> None:
    """As in Flask: an extension's prompt may ask for them before it opens a context."""
    names = app.make_shell_context()
    with app.app_context():
        names["g"].user = "Ada"
        assert dewar.g.user == "Ada"


def test_the_banner_says_where_one_is(app: Any) -> None:
    """Python's version, the app and its instance folder are told."""
    error = talk(app, "").stderr
    assert f"Python {sys.version}" in error
    assert "App: shop" in error
    assert f"Instance: {app.instance_path}" in error


def test_the_startup_file_is_run(app: Any, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names from PYTHONSTARTUP are there; those of the app go before them."""
    startup = write("startup.py", "mine = 'mine'\nanswer = 'overridden'\n")
    monkeypatch.setenv("PYTHONSTARTUP", str(startup))
    assert "mine 42" in talk(app, "print(mine, answer)\n").output


def test_the_terminal_is_prepared(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own hook is called, as in its own prompt."""
    called = []
    monkeypatch.setattr(sys, "__interactivehook__", lambda: called.append(True), raising=False)
    assert talk(app, "").exit_code == 0
    assert called == [True]
