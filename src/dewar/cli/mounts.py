"""``--mount WHERE=MODULE:APP``: mount more apps beside the main one."""

from collections.abc import Sequence
from typing import NamedTuple
from wsgiref.types import WSGIApplication

import click

from dewar.cli.errors import NoAppError
from dewar.cli.group import ScriptInfo
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.mounting.errors import MountError


class MountOption(NamedTuple):
    """One app to mount.

    Attributes:
        path: The path; ``/`` for a whole host.
        host: The host, or None for any.
        target: Where the app is, as ``module:app``.
    """

    path: str
    host: str | None
    target: str

    def __str__(self) -> str:
        return f"--mount {self.host or ''}{self.path}={self.target}"


def _read(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> tuple[MountOption, ...]:
    return tuple(_parse_mount(value, ctx, param) for value in values)


def _parse_mount(text: str, ctx: click.Context, param: click.Parameter) -> MountOption:
    """Read ``/path=module:app`` or ``host/path=module:app``."""
    where, _, target = text.partition("=")
    if not (where and target):
        raise click.BadParameter(
            f"{text!r} should have a place and an app: '--mount /admin=module:app', or"
            " '--mount api.example.com=module:app' for a host.",
            ctx,
            param,
        )
    host, slash, path = where.partition("/")
    if not slash and not set(".:") & set(host):
        # A host of one label is rare, and the app would be found nowhere.
        raise click.BadParameter(
            f"{text!r} could be for a path or for a host. Write '/{text}' for the path, or"
            f" '{host}/={target}' for the host.",
            ctx,
            param,
        )
    return MountOption(slash + path or "/", host or None, target)


#: For commands that work with several apps.
mount_option = click.Option(
    ["--mount"],
    multiple=True,
    callback=_read,
    metavar="WHERE=MODULE:APP",
    help="Mount another app below a path (/admin=shop.admin:app), for a host"
    " (api.example.com=api:app), or both. May be given more than once.",
)


def with_mounts(
    app: WSGIApplication, mounts: Sequence[MountOption], info: ScriptInfo
) -> WSGIApplication:
    """Return an app with others mounted beside it; the app itself does not change.

    Raises:
        NoAppError: If an app cannot be found, or cannot be mounted there; the message names it.
    """
    if not mounts:
        return app
    dispatcher = DispatcherMiddleware(app)
    for mount_wanted in mounts:
        other = ScriptInfo(mount_wanted.target, set_debug_flag=info.set_debug_flag)
        try:
            dispatcher.mount(mount_wanted.path, other.load_app(), host=mount_wanted.host)
        except NoAppError as error:
            raise NoAppError(f"'{mount_wanted}': {error.format_message()}") from error
        except MountError as error:
            raise NoAppError(f"'{mount_wanted}': {error}") from error
    return dispatcher
