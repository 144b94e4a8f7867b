"""``--cert`` and ``--key``: held to Flask's answers."""

import builtins
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import flask.cli
import pytest
from click.testing import CliRunner

from dewar.cli.certificate import CertificateType, join_key

Write = Callable[[str, str], Path]


def command(kind: Any, key_callback: Any) -> tuple[click.Command, list[Any]]:
    """Return a command with the two options, and a list of what it was called with."""
    given: list[Any] = []
    options = [
        click.Option(["--cert"], type=kind(), is_eager=True),
        click.Option(
            ["--key"],
            type=click.Path(exists=True, dir_okay=False, resolve_path=True),
            callback=key_callback,
            expose_value=False,
        ),
    ]
    return click.Command("run", params=options, callback=given.append), given


def outcome(kind: Any, key_callback: Any, arguments: list[str]) -> Any:
    asked, given = command(kind, key_callback)
    asked.callback = lambda cert: given.append(cert)
    result = CliRunner().invoke(asked, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, given


@pytest.fixture
def files(write: Write, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A certificate, its key, and a module with an SSLContext."""
    write("cert.pem", "")
    folder = write("key.pem", "").parent
    write("contexts.py", "import ssl\ncontext = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\nno = 1\n")
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop("contexts", None)


ARGUMENTS = [
    [], ["--cert", "cert.pem"], ["--key", "key.pem"], ["--cert", "cert.pem", "--key", "key.pem"],
    ["--key", "key.pem", "--cert", "cert.pem"], ["--cert", "none.pem", "--key", "key.pem"],
    ["--cert", "cert.pem", "--key", "none.pem"], ["--cert", "adhoc"], ["--cert", "ADHOC"],
    ["--cert", "adhoc", "--key", "key.pem"], ["--cert", "contexts.context"],
    ["--cert", "contexts:context"], ["--cert", "contexts.context", "--key", "key.pem"],
    ["--cert", "contexts.no"], ["--cert", "contexts.none"],
]  # fmt: skip


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("has_cryptography", [True, False])
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_what_is_given_is_taken_as_flask_takes_it(
    arguments: list[str], has_cryptography: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, ``adhoc``, an SSLContext, and what does not go together."""
    # None in its place makes an import fail; anything else makes it succeed.
    monkeypatch.setitem(sys.modules, "cryptography", sys if has_cryptography else None)  # type: ignore[arg-type]
    ours = outcome(CertificateType, join_key, arguments)
    assert ours == outcome(flask.cli.CertParamType, flask.cli._validate_key, arguments)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cert", "cert.pem"], "Required when using '--cert' with a file"),
        (["--key", "key.pem"], "'--cert' must be given as well"),
        (["--cert", "contexts.context", "--key", "key.pem"], "or an SSLContext, which have a key"),
        (["--cert", "adhoc"], "pip install cryptography"),
        (["--cert", "none.pem"], "does not exist"),
        (["--cert", ""], "is a directory"),
        (["--cert", "."], "is a directory"),
        (["--cert", ".x"], "does not exist"),
    ],
)
def test_what_is_wrong_is_explained(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what would be right."""
    monkeypatch.setitem(sys.modules, "cryptography", None)  # type: ignore[arg-type]
    asked, _ = command(CertificateType, join_key)
    result = CliRunner().invoke(asked, arguments)
    assert (result.exit_code, message in " ".join(result.output.split())) == (2, True)


@pytest.mark.usefixtures("files")
def test_files_become_a_pair_of_absolute_paths(folder: Path) -> None:
    """The certificate and its key; an SSLContext is itself."""
    code, given = outcome(CertificateType, join_key, ARGUMENTS[3])
    assert (code, given) == (0, [(str(folder / "cert.pem"), str(folder / "key.pem"))])
    _, [context] = outcome(CertificateType, join_key, ["--cert", "contexts.context"])
    assert isinstance(context, ssl.SSLContext)


def test_a_python_without_ssl_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option is there all the same."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "ssl":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(click.BadParameter, match="built with SSL"):
        CertificateType().convert("cert.pem", None, None)
