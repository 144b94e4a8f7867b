"""The options ``--cert`` and ``--key``: the server's certificate."""

from pathlib import Path
from typing import Any

import click
from werkzeug.utils import import_string

from dewar.server.errors import SettingsError
from dewar.server.settings.settings import Settings
from dewar.server.system.adhoc_certificate import maybe_adhoc_context


class CertificateType(click.ParamType):  # type: ignore[type-arg]  # generic since Click 8.4
    """A certificate file, ``adhoc`` for a new self-signed one, or an `ssl.SSLContext` to import.

    The value is the path, ``"adhoc"`` or the context.
    """

    name = "path"

    def __init__(self) -> None:
        self.path_type = click.Path(exists=True, dir_okay=False, resolve_path=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, ``"adhoc"`` or the context.

        Raises:
            click.BadParameter: If it is none of the three, or a needed library is not installed.
        """
        try:
            import ssl
        except ImportError:
            raise click.BadParameter(
                "Using '--cert' requires a Python that was built with SSL.", ctx, param
            ) from None
        try:
            return self.path_type(value, param, ctx)
        except click.BadParameter:
            if str(value).lower() == "adhoc":
                return _adhoc(ctx, param)
            found = _imported(str(value))
            if isinstance(found, ssl.SSLContext):
                return found
            raise


def _imported(name: str) -> object:
    """Return the object with an import name, or None."""
    try:
        return import_string(name, silent=True)
    except ValueError:
        # Not a valid name: "" or ".".
        return None


def _adhoc(ctx: click.Context | None, param: click.Parameter | None) -> str:
    try:
        import cryptography  # noqa: F401  # whether it is there
    except ImportError:
        raise click.BadParameter(
            "Using ad-hoc certificates requires the cryptography library:"
            " pip install cryptography.",
            ctx,
            param,
        ) from None
    return "adhoc"


def adhoc_values(settings: Settings) -> dict[str, Any]:
    """Return the settings that change for ``dewar run --cert adhoc``: none for another certificate.

    Raises:
        SettingsError: If a key is given too.
        AdhocUnavailableError: If a needed library is not installed.
    """
    certificate = settings.certfile
    if certificate is None or Path(certificate).exists():
        return {}
    context = maybe_adhoc_context(certificate, settings.bind)
    if context is None:
        return {}
    for name in ("keyfile", "client_ca"):
        if getattr(settings, name) is not None:
            raise SettingsError(
                f"certfile={certificate!r} makes a certificate with a key, and takes no {name}."
                " Leave that out, or give a file: --cert cert.pem.",
                name,
            )
    return {"certfile": None, "ssl_context": context}


def join_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Put the key beside its certificate: ``ctx.params["cert"]`` becomes a pair.

    Raises:
        click.BadParameter: For a key without a certificate file, and the other way round.
    """
    certificate = ctx.params.get("cert")
    is_file = isinstance(certificate, str) and certificate != "adhoc"
    if value is None:
        if is_file:
            raise click.BadParameter("Required when using '--cert' with a file.", ctx, param)
    elif certificate is None:
        raise click.BadParameter("'--cert' must be given as well.", ctx, param)
    elif not is_file:
        raise click.BadParameter(
            "Not used with '--cert adhoc' or an SSLContext, which have a key.", ctx, param
        )
    else:
        ctx.params["cert"] = certificate, value
    return value
