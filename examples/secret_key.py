"""The secret key of the examples: made once, and kept beside their data."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile


def secret_key(folder: str | Path) -> str:
    """Return ``SECRET_KEY`` from the environment, or else the key in a folder.

    It is the same in all processes and after a restart, so that sessions and signatures stay valid.
    The first process makes it. Only this user can read it.

    Args:
        folder: The instance folder.
    """
    given = os.environ.get("SECRET_KEY")
    if given:
        return given
    path = Path(folder) / "secret-key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=path.parent) as file:  # private, by its default
            file.write(secrets.token_hex())
            file.flush()
            with suppress(FileExistsError):  # another process was first
                os.link(file.name, path)
    return path.read_text(encoding="ascii")
