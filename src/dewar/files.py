"""Sending files."""

from collections.abc import Callable
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import IO, Any

from werkzeug.utils import send_file as werkzeug_send_file
from werkzeug.utils import send_from_directory as werkzeug_send_from_directory
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.contexts.current import current_request


def send_file(
    path_or_file: PathLike[str] | str | IO[bytes],
    mimetype: str | None = None,
    as_attachment: bool = False,
    download_name: str | None = None,
    conditional: bool = True,
    etag: bool | str = True,
    last_modified: datetime | float | None = None,
    max_age: int | Callable[[str | None], int | None] | None = None,
) -> WerkzeugResponse:
    """Return a response with the content of a file, with ranges and conditions honoured.

    Never pass a path that the client names: that is what `send_from_directory` is for.

    Args:
        path_or_file: The path, relative to the app's `root_path`, or an open binary file.
        mimetype: The type; told from the name where it is not given.
        as_attachment: Have the browser save it rather than show it.
        download_name: The name to save it under.
        conditional: Answer 304 or 206 where the request asks for it.
        etag: A tag for the content, or whether to make one.
        last_modified: When it was changed, as a time or in seconds since the epoch.
        max_age: How many seconds it may be kept, or a function of its name that says so; the
            app's ``SEND_FILE_MAX_AGE_DEFAULT`` where it is not given.
    """
    options = _with_defaults({"max_age": max_age})
    return werkzeug_send_file(
        path_or_file,
        mimetype=mimetype,
        as_attachment=as_attachment,
        download_name=download_name,
        conditional=conditional,
        etag=etag,
        last_modified=last_modified,
        **options,
    )


def send_from_directory(
    directory: str | PathLike[str], path: str | PathLike[str], **kwargs: Any
) -> WerkzeugResponse:
    """Return a response with a file from within a folder, whatever path the client names.

    Raises:
        werkzeug.exceptions.NotFound: If there is no such file in the folder.
    """
    return werkzeug_send_from_directory(directory, path, **_with_defaults(kwargs))


def _with_defaults(options: dict[str, Any]) -> dict[str, Any]:
    context = current_request("send_file")
    app = context.app
    if options.get("max_age") is None:
        options["max_age"] = app.get_send_file_max_age
    options.update(
        environ=context.environ,
        use_x_sendfile=app.config["USE_X_SENDFILE"],
        response_class=app.response_class,
        _root_path=app.root_path,
    )
    return options


def open_for_reading(path: Path, mode: str, encoding: str | None = None) -> IO[Any]:
    """Open a file, for reading only.

    Raises:
        ValueError: For a mode that writes.
    """
    if mode not in {"r", "rt", "rb"}:
        raise ValueError(f"Resources can only be opened for reading: 'r' or 'rb', not {mode!r}.")
    return path.open(mode, encoding=None if mode == "rb" else encoding or "utf-8")
