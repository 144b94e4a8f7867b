"""`EnvironHeaders`: the header fields of a request, read from its environ."""

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from werkzeug.datastructures import EnvironHeaders as WerkzeugEnvironHeaders

_MISSING: Any = object()
# PEP 3333: the two fields whose variables have no prefix, as in CGI.
_UNPREFIXED = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


class EnvironHeaders(WerkzeugEnvironHeaders):
    """Werkzeug's class, with a `get` that raises nothing inside.

    Args:
        environ: The environ of the request.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        # Not super().__init__(): it looks at the arguments that an environ's headers never have.
        self._list: list[tuple[str, str]] = []
        self.environ = environ

    def get(self, key: Any, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:  # type: ignore[override]  # noqa: A002  # Werkzeug's names
        """Return the value of a field, converted by `type`.

        Args:
            key: The field's name, in any case.
            default: What is returned if the field is missing, or `type` raises a `ValueError`.
            type: A function of the value.
        """
        if not isinstance(key, str):
            return default
        name = key.upper().replace("-", "_")
        variable = name if name in _UNPREFIXED else f"HTTP_{name}"
        value = self.environ.get(variable, _MISSING)
        if value is _MISSING:
            return default
        if type is None:
            return value
        try:
            return type(value)
        except ValueError:
            return default
