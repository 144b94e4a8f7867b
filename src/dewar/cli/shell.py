"""``dewar shell``: a Python prompt in an app's context."""

import code
import os
import sys
from pathlib import Path
from typing import Any

import click

from dewar.cli.group import command_app, with_appcontext
from dewar.cli.interface import CommandApp


@click.command("shell", short_help="Open a Python prompt in an app's context.")
@click.pass_context
@with_appcontext
def shell_command(ctx: click.Context) -> None:
    """Open a Python prompt with the app, `g` and the names of the shell context processors."""
    app = command_app(ctx)
    names = _startup_names()
    names.update(app.make_shell_context())
    _prepare_terminal(names)
    code.interact(banner=_banner(app), local=names)


def _banner(app: CommandApp) -> str:
    return (
        f"Python {sys.version} on {sys.platform}\n"
        f"App: {app.import_name}\n"
        f"Instance: {app.instance_path}"
    )


def _startup_names() -> dict[str, Any]:
    """Return the names that the user's ``PYTHONSTARTUP`` file defines."""
    names: dict[str, Any] = {}
    startup = os.environ.get("PYTHONSTARTUP")
    if startup and Path(startup).is_file():
        source = Path(startup).read_text(encoding="utf-8")
        exec(compile(source, startup, "exec"), names)  # noqa: S102  # the user's file, as Python runs it
    return names


def _prepare_terminal(names: dict[str, Any]) -> None:
    """Complete `names` with the tab key, and set up history as Python's prompt does."""
    hook = getattr(sys, "__interactivehook__", None)
    if hook is None:
        return
    try:
        import readline
        from rlcompleter import Completer
    except ImportError:
        pass  # there is no readline on this system
    else:
        readline.set_completer(Completer(names).complete)
    hook()
