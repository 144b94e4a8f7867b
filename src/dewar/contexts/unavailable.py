"""The parts of a request that a job does not have, which raise errors when it uses them."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from io import RawIOBase
from typing import Any, NoReturn

from werkzeug.datastructures import MultiDict

from dewar.errors import DewarError
from dewar.sessions.session import SecureCookieSession

# How many classes of a job's `g` are kept. An app has one for each set of absent names, which is
# nearly always the same set.
_CLASSES = 64


class ContextUnavailableError(DewarError, RuntimeError):
    """Raised when a job uses a part of its request that was not sent with it."""


class SessionSentError(DewarError, RuntimeError):
    """Raised when a job changes the session: the answer with its cookie has been sent."""

    def __init__(self) -> None:
        super().__init__(
            "A job can read the session but not change it: the response that would set the cookie"
            " belongs to the request, which may be over. Change the session in the view, or keep"
            " the result of the job in a database."
        )


class _ContextUnavailableKeyError(DewarError, KeyError):
    def __str__(self) -> str:
        # A KeyError shows the repr of its message.
        return str(self.args[0])


class ReadOnlySession(SecureCookieSession):
    """The session as it was when the job was submitted. A job cannot change it.

    Args:
        items: The items.
        absent: The names of items that could not be sent.

    Raises:
        SessionSentError: (a `RuntimeError`) at any change.
        KeyError: If an item is read that could not be sent.
    """

    def __init__(self, items: Mapping[str, Any], absent: Collection[str] = ()) -> None:
        super().__init__(items)
        self._dewar_absent = absent

    def __missing__(self, key: str) -> NoReturn:
        if key in self._dewar_absent:
            raise _ContextUnavailableKeyError(_absent_item("session", f"session[{key!r}]"))
        raise KeyError(key)

    @property
    def modified(self) -> bool:
        """False: it is not saved."""
        return False

    @modified.setter
    def modified(self, _value: bool) -> None:
        raise SessionSentError

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise SessionSentError

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


class AbsentBody(RawIOBase):
    """The ``wsgi.input`` of a job that was submitted without the body of its request."""

    def readable(self) -> bool:
        """Return true, so that reading raises the error that explains it."""
        return True

    def _refuse(self, *_: Any) -> NoReturn:
        # Not an OSError or ValueError, which Werkzeug takes for a client that has disconnected.
        raise ContextUnavailableError(
            "The body of the request did not travel with the job: it was not read before the job"
            " was submitted, or it is too large for another process. Read it in the view and pass"
            " it to the job as an argument."
        )

    read = readall = readinto = readline = readlines = _refuse


class AbsentFiles(MultiDict[str, Any]):
    """The ``request.files`` of a job whose request had files, which end with the request."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ContextUnavailableError(
            "Uploaded files did not travel with the job: they are closed when the request ends."
            " Save or read them in the view and pass the path or the bytes to the job as an"
            " argument."
        )

    __getitem__ = __iter__ = __len__ = __contains__ = _refuse
    get = getlist = items = keys = values = lists = listvalues = to_dict = _refuse


def namespace_without(base: type, absent: Collection[str]) -> Any:
    """Return an empty `g` of the class `base` whose errors explain the absent names."""
    return _namespace_class(base, frozenset(absent))()


@lru_cache(maxsize=_CLASSES)
def _namespace_class(base: type, absent: frozenset[str]) -> type:
    """Return the class of such a `g`.

    PERF: making a class for each run would take a fifth of the time of a small run.
    """

    class NamespaceWithout(base):  # type: ignore[misc]  # the class is the app's own
        def __getattr__(self, name: str) -> Any:
            if name in absent:
                raise AttributeError(_absent_item("g", f"g.{name}"))
            return super().__getattr__(name)

    return NamespaceWithout


def _absent_item(what: str, shown: str) -> str:
    return (
        f"{shown} did not travel with the job: only plain values of {what} (None, bool, int,"
        " float, str, bytes, UUID, datetime to the second, lists, tuples and dicts of those) go to"
        " another process. Pass what the job needs of it as an argument."
    )
