"""`Origins`: whose pages may open WebSockets, to which the same-origin policy does not apply."""

from collections.abc import Collection
from urllib.parse import urlsplit

from dewar.errors import DewarError

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ANY = "*"

# The scheme, the host and the port of an origin (RFC 6454 §4).
_Triple = tuple[str, str, int | None]


class OriginError(DewarError, ValueError):
    """Raised where origins should be and are none."""


class Origins:
    """The origins that are allowed besides the app's own.

    Args:
        given: Such as ``["https://example.com"]``; ``"*"`` is any origin.
        name: What they are the value of, for errors.

    Raises:
        OriginError: If one of them is no origin.
    """

    __slots__ = ("_allowed", "_is_any")

    def __init__(self, given: object, name: str) -> None:
        if not isinstance(given, Collection) or (isinstance(given, str) and given != _ANY):
            example = given if isinstance(given, str) else "https://example.com"
            raise OriginError(
                f"{name} is a list of origins, and not {given!r}. Write: {name} = [{example!r}]."
            )
        self._is_any = _ANY in given
        self._allowed = {_checked(origin, name) for origin in given if origin != _ANY}

    def __repr__(self) -> str:
        return f"<Origins {_ANY if self._is_any else sorted(map(str, self._allowed))}>"

    def allow(self, origin: str, own: str) -> bool:
        """Whether a page of an origin may open a WebSocket.

        Args:
            origin: The ``Origin`` field of the request. ``null`` is no origin.
            own: The origin of the app, as the client sees it.
        """
        if self._is_any:
            return True
        parsed = _maybe_parse(origin)
        return parsed is not None and (parsed == _maybe_parse(own) or parsed in self._allowed)


def _checked(origin: str, name: str) -> _Triple:
    parsed = _maybe_parse(origin)
    if parsed is None:
        raise OriginError(
            f"{name} has {origin!r}, which is no origin: a scheme and a host, and a port if it is"
            f" not the scheme's own. Write: {name} = ['https://example.com']."
        )
    return parsed


def _maybe_parse(origin: object) -> _Triple | None:
    if not isinstance(origin, str):
        return None
    try:
        url = urlsplit(origin)
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        return None
    is_origin = url.scheme and url.hostname and not (url.path or url.query or url.fragment)
    if not is_origin or "@" in url.netloc or url.hostname is None:
        return None
    return url.scheme, url.hostname, port
