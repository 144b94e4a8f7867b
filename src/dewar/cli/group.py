"""`AppGroup`, `ScriptInfo` and `with_appcontext`: Click commands that belong to an app."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar, cast

import click

from dewar.cli.errors import PlainCallableError
from dewar.cli.interface import CommandApp, is_command_app
from dewar.cli.loading import load_app, load_default_app
from dewar.contexts.current import maybe_current
from dewar.environment import app_variable, debug_flag, importing, skips_dotenv

F = TypeVar("F", bound=Callable[..., Any])


class ScriptInfo:
    """Loads the app that the commands are for. Click keeps it as ``ctx.obj``.

    Args:
        app_import_path: The app, as ``module:app``; if left out, ``DEWAR_APP``, else ``wsgi.py``
            or ``app.py``.
        create_app: Makes the app instead.
        set_debug_flag: Set the app's debug mode from the command line or the environment.
        load_dotenv_defaults: Read ``.env`` and ``.flaskenv``, unless the environment forbids it.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: Callable[..., Any] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        #: Data that commands share.
        self.data: dict[Any, Any] = {}
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = load_dotenv_defaults and not skips_dotenv()
        self._loaded_app: Any = None

    def load_app(self) -> Any:
        """Return the app: a Dewar app or another WSGI callable, the same one each time.

        Raises:
            NoAppError: If there is none.
        """
        if self._loaded_app is None:
            with importing():
                app = _find_app(self)
            if self.set_debug_flag and is_command_app(app):
                app.debug = debug_flag()
            self._loaded_app = app
        return self._loaded_app

    def __repr__(self) -> str:
        app = self._loaded_app or self.create_app or self.app_import_path or app_variable()
        return f"<{type(self).__name__} {app!r}>"


def _find_app(info: ScriptInfo) -> Any:
    if info.create_app is not None:
        return info.create_app()
    target = info.app_import_path or app_variable()
    return load_app(target) if target else load_default_app()


#: Passes the `ScriptInfo` to a command as its first argument.
pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


def command_app(ctx: click.Context) -> CommandApp:
    """Return the app that a command is for.

    Raises:
        NoAppError: If there is none.
        PlainCallableError: If it is a WSGI callable without contexts and commands.
    """
    app = ctx.ensure_object(ScriptInfo).load_app()
    if not is_command_app(app):
        raise PlainCallableError(app)
    return app


def with_appcontext(f: F) -> F:
    """Run a command in the app's context, unless one is current already.

    Commands made with ``app.cli.command()`` have it; others are decorated below their options::

        @click.command()
        @with_appcontext
        def count():
            click.echo(current_app.name)
    """

    @click.pass_context
    def in_context(ctx: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        if maybe_current() is None:
            ctx.with_resource(command_app(ctx).app_context())
        return ctx.invoke(f, *args, **kwargs)

    return cast("F", update_wrapper(in_context, f))


class AppGroup(click.Group):
    """A `click.Group` whose commands run in the app's context."""

    def command(self, *args: Any, **kwargs: Any) -> Any:
        """Make a command of the decorated function.

        Args:
            args: As `click.Group.command` takes them.
            kwargs: The same by name; ``with_appcontext=False`` leaves the context to the command.
        """
        wants_context = kwargs.pop("with_appcontext", True)
        if args and callable(args[0]):
            return self.command(with_appcontext=wants_context, **kwargs)(args[0])
        make = super().command(*args, **kwargs)

        def decorate(f: Callable[..., Any]) -> click.Command:
            command: click.Command = make(with_appcontext(f) if wants_context else f)
            return command

        return decorate

    def group(self, *args: Any, **kwargs: Any) -> Any:
        """Make a group of the decorated function; it is an `AppGroup` as well."""
        if args and callable(args[0]):
            return self.group(**kwargs)(args[0])
        kwargs.setdefault("cls", AppGroup)
        return super().group(*args, **kwargs)
