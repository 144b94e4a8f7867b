"""`send_file` and `send_from_directory`: responses with the content of a file."""

from collections.abc import Callable
from datetime import datetime
from os import PathLike
from typing import IO, Any

import werkzeug.utils
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.contexts.current import current_request
from dewar.support.paths import open_file


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
    """Return a response with the content of a file. Supports range and conditional requests.

    Never pass a path from the client. Use `send_from_directory` for that.

    Args:
        path_or_file: The path, relative to the app's `root_path`, or an open binary file.
        mimetype: The content type. By default it is guessed from the name.
        as_attachment: Make the browser save the file instead of showing it.
        download_name: The name under which the browser saves it.
        conditional: Answer conditional and range requests with 304 or 206.
        etag: The ETag, or whether to generate one.
        last_modified: The time of the last change, as a datetime or in seconds since the epoch.
        max_age: How many seconds a cache may keep the file, or a function that returns this for a
            file name. The default is the app's ``SEND_FILE_MAX_AGE_DEFAULT``.
    """
    options = _with_defaults({"max_age": max_age})
    # By the module's name, because tests replace the function there.
    return werkzeug.utils.send_file(
        path_or_file=path_or_file,
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
    """Return a response with a file inside a folder. The path may come from the client.

    Raises:
        werkzeug.exceptions.NotFound: If there is no such file in the folder.
    """
    return werkzeug.utils.send_from_directory(directory, path, **_with_defaults(kwargs))


def _with_defaults(options: dict[str, Any]) -> dict[str, Any]:
    context = current_request("send_file")
    app = context.app
    if options.get("max_age") is None:
        options["max_age"] = app.get_send_file_max_age
    options.update(
        environ=context._dewar_environ,
        use_x_sendfile=app.config["USE_X_SENDFILE"],
        response_class=app.response_class,
        _root_path=app.root_path,
    )
    return options


def open_for_reading(path: str, mode: str, encoding: str | None = None) -> IO[Any]:
    """Open a file for reading.

    Raises:
        ValueError: If the mode is not one for reading.
    """
    if mode not in {"r", "rt", "rb"}:
        raise ValueError(f"Resources can only be opened for reading: 'r' or 'rb', not {mode!r}.")
    return open_file(path, mode, encoding)
