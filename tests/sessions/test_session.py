from collections.abc import MutableMapping

import pytest
from werkzeug.datastructures import CallbackDict

from dewar.errors import DewarError
from dewar.sessions.session import NullSession, SecureCookieSession, SessionMixin

CHANGES = {
    "set": lambda session: session.__setitem__("b", 1),
    "delete": lambda session: session.__delitem__("a"),
    "pop": lambda session: session.pop("a"),
    "popitem": lambda session: session.popitem(),
    "clear": lambda session: session.clear(),
    "update": lambda session: session.update(a=2),
    "setdefault": lambda session: session.setdefault("b", 1),
    "or": lambda session: session.__ior__({"b": 1}),
    "permanent": lambda session: setattr(session, "permanent", True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_noted(change):
    """Whatever sets or removes an item marks the session as modified."""
    session = SecureCookieSession({"a": 1})
    assert (session.modified, session.new, session.accessed) == (False, False, False)
    change(session)
    assert session.modified is True


def test_reading_changes_nothing():
    """A session that is only read is not modified; the context is what marks it accessed."""
    session = SecureCookieSession({"a": [1]})
    assert session["a"] == [1]
    assert session.get("b") is None
    assert session.setdefault("a", 2) == [1]
    assert session.pop("b", None) is None
    assert session.permanent is False
    assert (session.modified, session.accessed) == (False, False)


def test_permanent_is_an_item_of_the_session():
    """It travels with the session, under a name that Flask knows."""
    session = SecureCookieSession()
    session.permanent = 1
    assert session == {"_permanent": True}
    session["_permanent"] = False
    assert session.permanent is False


def test_a_dict_with_the_mixin_is_a_session():
    """Without tracking of its own, a session counts as modified."""

    class Mine(dict, SessionMixin):
        pass

    session = Mine(a=1)
    session.permanent = True
    assert session == {"a": 1, "_permanent": True}
    assert (session.modified, session.new, session.accessed) == (True, False, False)
    assert isinstance(session, MutableMapping)


def test_the_cookie_session_is_a_callback_dict():
    """Extensions rely on Werkzeug's class."""
    assert issubclass(SecureCookieSession, CallbackDict)
    assert repr(SecureCookieSession({"a": 1})) == "<SecureCookieSession {'a': 1}>"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_null_session_refuses_every_change(change):
    """The error is a RuntimeError that shows how to set a secret key."""
    session = NullSession()
    with pytest.raises(RuntimeError, match=r"session is unavailable.*app\.secret_key = ") as caught:
        change(session)
    assert isinstance(caught.value, DewarError)


def test_a_null_session_can_be_read():
    """Reading an empty session needs no key."""
    session = NullSession()
    assert session.get("user") is None
    assert "user" not in session
    assert not session
    assert session.permanent is False
