"""`SessionMixin` and the two sessions Dewar has: in a signed cookie, or not available."""

from collections.abc import Mapping, MutableMapping
from typing import Any, NoReturn

from werkzeug.datastructures import CallbackDict

from dewar.sessions.errors import SessionUnavailableError


class SessionMixin(MutableMapping[str, Any]):
    """Makes a session of a mapping: ``class MySession(dict, SessionMixin)``.

    - ``new``: whether it began with this request, where that is known.
    - ``modified``: whether it is to be saved. A class that cannot tell leaves it at true.
    - ``accessed``: whether the request has used it, so that the answer varies by cookie. The
      context sets it.
    """

    new = False
    modified = True
    accessed = False

    @property
    def permanent(self) -> bool:
        """Whether it outlives the browser; it is kept in the item ``_permanent``."""
        permanent: bool = self.get("_permanent", False)
        return permanent

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


class SecureCookieSession(CallbackDict[str, Any], SessionMixin):
    """A session that the browser keeps, in a cookie it can read and not change.

    `modified` turns true when an item is set or removed. A change inside an item is not seen:
    after ``session["cart"].append(book)`` say ``session.modified = True``.

    Args:
        initial: The items it starts with.
    """

    modified = False

    def __init__(self, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(initial, _note_change)


def _note_change(session: SecureCookieSession) -> None:
    session.modified = True


class NullSession(SecureCookieSession):
    """The session of an app without a secret key: always empty, and not to be changed.

    Raises:
        SessionUnavailableError: (a `RuntimeError`) at any change.
    """

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise SessionUnavailableError

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse
    del _refuse
