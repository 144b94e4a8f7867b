"""Sending files."""

from os import PathLike
from pathlib import Path
from typing import IO, Any

from werkzeug.utils import send_file as werkzeug_send_file
from werkzeug.utils import send_from_directory as werkzeug_send_from_directory
from werkzeug.wrappers import Response as WerkzeugResponse

from dewar.contexts.current import current_request

__all__ = ["open_for_reading", "send_file", "send_from_directory"]


def send_file(path_or_file: Any, *args: Any, **kwargs: Any) -> WerkzeugResponse:
    """Return a response with the content of a file, with ranges and conditions honoured.

    Never pass a path that the client names: that is what `send_from_directory` is for.

    Args:
        path_or_file: the path, relative to the app's `root_path`, or an open binary file.
        args: as for `werkzeug.utils.send_file`: mimetype, as_attachment, …
        kwargs: likewise.
    """
    return werkzeug_send_file(path_or_file, *args, **_with_defaults(kwargs))


def send_from_directory(
    directory: str | PathLike[str], path: str | PathLike[str], **kwargs: Any
) -> WerkzeugResponse:
    """Return a response with a file from within a folder, whatever path the client names.

    Raises:
        werkzeug.exceptions.NotFound: where there is no such file in the folder.
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
        ValueError: for a mode that writes.
    """
    if mode not in {"r", "rt", "rb"}:
        raise ValueError(f"Resources can only be opened for reading: 'r' or 'rb', not {mode!r}.")
    return path.open(mode, encoding=None if mode == "rb" else encoding or "utf-8")
