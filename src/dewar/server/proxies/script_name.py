"""SCRIPT_NAME and PATH_INFO of an application that is mounted below the root (PEP 3333)."""

from urllib.parse import unquote

from dewar.server.settings.proxy_checks import check_script_name
from dewar.server.wire.request import Environ


class ScriptName:
    """Splits paths into the part of the mount and the rest.

    A path is below the mount by whole segments: ``/shopping`` is not below ``/shop``. Segments
    are split before they are decoded. So an escaped slash (``/shop%2Fadmin``) stays inside its
    segment, and a proxy that routes by path sees the same segments.

    Args:
        path: The path that the application is mounted at, such as ``"/shop"``.

    Raises:
        SettingsError: It is not a valid path.
    """

    def __init__(self, path: str) -> None:
        check_script_name(path)
        self._path = path.encode().decode("latin-1")  # WSGI's encoding of UTF-8
        self._depth = path.count("/")

    def __repr__(self) -> str:
        return f"<ScriptName {self._path}>"

    def apply(self, environ: Environ) -> None:
        """Split PATH_INFO if it is below the mount, and set SCRIPT_NAME in any case.

        A path that is not below the mount stays as it is, because a proxy may have removed the
        prefix. A SCRIPT_NAME from a proxy's X-Forwarded-Prefix is the outer one.
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
