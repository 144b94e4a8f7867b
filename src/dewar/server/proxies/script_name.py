"""An application that stands at a path below the root: SCRIPT_NAME and PATH_INFO (PEP 3333)."""

import re
from typing import Any
from urllib.parse import unquote

from dewar.server.errors import SettingsError

Environ = dict[str, Any]

_PATH = re.compile(r"(?:/[^/?#%\x00-\x20\x7f]+)+")


class ScriptName:
    """Splits paths into that of the application and the rest.

    A path is below the mount by whole segments: ``/shopping`` is not below ``/shop``. Segments
    are told apart before they are decoded, so that an escaped slash (``/shop%2Fadmin``) stays
    a part of its segment, as it is to a proxy that goes by the path.

    Args:
        path: Where the application stands, such as ``"/shop"``.

    Raises:
        SettingsError: It is no such path.
    """

    def __init__(self, path: str) -> None:
        if _PATH.fullmatch(path) is None or {".", ".."} & set(path.split("/")):
            raise SettingsError(
                f"script_name={path!r} is no path. It begins with a slash and ends without one:"
                ' script_name="/shop".'
            )
        self._path = path.encode().decode("latin-1")  # WSGI's way to write UTF-8
        self._depth = path.count("/")

    def __repr__(self) -> str:
        return f"<ScriptName {self._path}>"

    def apply(self, environ: Environ) -> None:
        """Split PATH_INFO, where it is below the mount.

        Any other path is left alone and SCRIPT_NAME set all the same, for a proxy in front may
        have cut the prefix off. A SCRIPT_NAME that is there, from a proxy's X-Forwarded-Prefix,
        is the outer one.
        """
        below = self._maybe_below(environ)
        if below is not None:
            environ["SCRIPT_NAME"] += self._path
            environ["PATH_INFO"] = below
        elif not environ["SCRIPT_NAME"]:
            environ["SCRIPT_NAME"] = self._path

    def _maybe_below(self, environ: Environ) -> str | None:
        path: str = environ["PATH_INFO"]
        target: str = environ["REQUEST_URI"]
        if "%" not in target:
            if path == self._path or path.startswith(f"{self._path}/"):
                return path[len(self._path) :]
            return None
        raw = target.partition("?")[0]
        if not raw.startswith("/"):
            raw = f"/{raw.partition('//')[2].partition('/')[2]}"  # the absolute form
        segments = [unquote(segment, "latin-1") for segment in raw.split("/")]
        if "/".join(segments[: self._depth + 1]) != self._path or any(
            "/" in segment for segment in segments[: self._depth + 1]
        ):
            return None
        rest = segments[self._depth + 1 :]
        return f"/{'/'.join(rest)}" if rest else ""
