"""What makes an app open the session of each request at once."""

from collections.abc import Callable
from typing import Any

import pytest

from dewar import Dewar, g
from dewar.contexts.namespace import AppGlobals
from dewar.json.tagged import JSONTag, TaggedJSONSerializer
from dewar.messages.request import Request
from dewar.sessions.interface import SessionInterface
from dewar.sessions.laziness import may_open_late
from dewar.sessions.secure_cookie import SecureCookieSessionInterface
from dewar.sessions.session import NullSession, SecureCookieSession


class OwnSession(SecureCookieSession):
    """A class of the program."""


class OwnTag(JSONTag):
    """A tag of the program."""

    key = " own"


class OwnNull(NullSession):
    """A class of the program."""


class OwnSerializer(TaggedJSONSerializer):
    """A class of the program."""


CHANGES: dict[str, Callable[[Any], object]] = {
    "session_class": lambda one: setattr(one, "session_class", OwnSession),
    "null_session_class": lambda one: setattr(one, "null_session_class", OwnNull),
    "open_session": lambda one: setattr(one, "open_session", one.open_session),
    "get_cookie_name": lambda one: setattr(one, "get_cookie_name", one.get_cookie_name),
    "serializer": lambda one: setattr(one, "serializer", OwnSerializer()),
    "tag": lambda one: one.serializer.register(OwnTag),
}


def test_the_shipped_interface_may_open_late() -> None:
    """Also if it has made its serializer, and signs in another way."""
    made = SecureCookieSessionInterface()
    assert may_open_late(made)
    made.salt, made.key_derivation = "mine", "concat"
    made.get_signing_serializer(Dewar("a", static_folder=None))
    assert made.serializer
    assert may_open_late(made)


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_changed_one_may_not(change: Callable[[Any], object]) -> None:
    """Whatever of the program is on it could be seen."""
    made = SecureCookieSessionInterface()
    change(made)
    assert not may_open_late(made)


@pytest.mark.parametrize(
    "base", [SessionInterface, SecureCookieSessionInterface], ids=lambda base: base.__name__
)
def test_a_subclass_may_not(base: type[SessionInterface]) -> None:
    """Even an empty one, because its methods may be replaced at any time."""
    assert not may_open_late(type("Own", (base,), {})())


def test_what_is_put_on_the_class_itself_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """For apps that have not yet had a request."""
    monkeypatch.setattr(SecureCookieSessionInterface, "session_class", OwnSession)
    assert not may_open_late(SecureCookieSessionInterface())


def opens_late(app: Dewar) -> bool:
    """Whether a request opens its session when it is first used."""
    context = app.test_request_context("/")
    with context:
        return context._dewar_session is None


@pytest.mark.parametrize("part", ["interface", "class", "globals", "request"])
def test_a_change_is_seen_by_an_app_that_has_had_requests(part: str) -> None:
    """The interface, its class, and the classes of `g` and of requests."""
    app = Dewar("late", static_folder=None)
    assert opens_late(app)
    if part == "interface":
        app.session_interface = type("Own", (SecureCookieSessionInterface,), {})()
    elif part == "class":
        app.session_interface.session_class = OwnSession  # type: ignore[attr-defined]  # the shipped one
    elif part == "globals":
        app.app_ctx_globals_class = type("Own", (AppGlobals,), {})
    else:
        app.request_class = type("Own", (Request,), {"__init__": Request.__init__, "host": "x"})
    assert not opens_late(app)


def test_an_interface_of_two_apps_tells_both() -> None:
    """Neither keeps the other's answer."""
    first, second = Dewar("first", static_folder=None), Dewar("second", static_folder=None)
    second.session_interface = first.session_interface
    for app in (first, second):
        assert opens_late(app)
    first.session_interface.session_class = OwnSession  # type: ignore[attr-defined]  # the shipped one
    assert not opens_late(first)
    assert not opens_late(second)


def test_a_subclass_of_the_context_opens_and_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may make contexts of its own."""
    seen: list[str] = []
    app = Dewar("own", static_folder=None)
    app.secret_key = "key"
    interface = app.session_interface
    own = type("Own", (type(app.test_request_context()),), {})
    monkeypatch.setattr(app, "request_context", lambda environ: own(app, environ))

    def open_session(*args: Any) -> Any:
        seen.append("opened")
        return SecureCookieSessionInterface.open_session(interface, *args)  # type: ignore[arg-type]  # the shipped one

    monkeypatch.setattr(interface, "open_session", open_session)
    app.before_request(lambda: seen.append("hook"))
    app.add_url_rule("/", "index", lambda: "seen")
    assert app.test_client().get("/").text == "seen"
    assert seen == ["opened", "hook"]


def test_a_class_of_g_is_made_before_the_hooks() -> None:
    """It may take the time, for instance; and so it is in an app context."""
    made: list[str] = []

    class Own(AppGlobals):
        def __init__(self) -> None:
            made.append("g")

    app = Dewar("own", static_folder=None)
    app.app_ctx_globals_class = Own
    app.before_request(lambda: made.append("hook"))
    app.add_url_rule("/", "index", lambda: str(made.append(type(g._get_current_object()).__name__)))
    app.test_client().get("/")
    assert made == ["g", "hook", "Own"]
    app.app_context()
    assert made[3:] == ["g"]
