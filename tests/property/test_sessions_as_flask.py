"""A session interface of a program is asked on Dewar when it is asked on Flask."""

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import flask
import flask.sessions
import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, RequestRedirect, ValidationError

import dewar
import dewar.sessions.interface
import dewar.sessions.secure_cookie
import dewar.sessions.session


class Kit:
    """The names of one framework, and what its program has noted."""

    def __init__(self, lib: ModuleType) -> None:
        self.lib = lib
        self.trace: list[Any] = []
        if lib is flask:
            self.App: Any = flask.Flask
            self.Interface: Any = flask.sessions.SessionInterface
            self.Cookies: Any = flask.sessions.SecureCookieSessionInterface
            self.Session: Any = flask.sessions.SecureCookieSession
            self.Mixin: Any = flask.sessions.SessionMixin
        else:
            self.App = dewar.Dewar
            self.Interface = dewar.sessions.interface.SessionInterface
            self.Cookies = dewar.sessions.secure_cookie.SecureCookieSessionInterface
            self.Session = dewar.sessions.session.SecureCookieSession
            self.Mixin = dewar.sessions.session.SessionMixin

    def note(self, what: str, result: Any = None) -> Any:
        """Record a step, and what is current in it."""
        request = self.lib.request
        where = (request.path, request.endpoint) if request else None
        self.trace.append((what, where, bool(self.lib.current_app)))
        return result

    def noting(self, base: type, *names: str) -> type:
        """Return a subclass with methods that note that they are called."""

        def noted(name: str) -> Any:
            def method(this: Any, *args: Any) -> Any:
                self.note(name)
                return getattr(base, name)(this, *args)

            return method

        return type("Noting", (base,), {name: noted(name) for name in names})


INTERFACES: dict[str, Callable[[Kit], Any]] = {}


def interface(make: Callable[[Kit], Any]) -> Callable[[Kit], Any]:
    INTERFACES[make.__name__] = make
    return make


@interface
def shipped(kit: Kit) -> Any:
    return kit.Cookies()


@interface
def all_steps_noted(kit: Kit) -> Any:
    names = ["open_session", "save_session", "is_null_session", "should_set_cookie"]
    return kit.noting(kit.Cookies, *names, "get_signing_serializer", "make_null_session")()


@interface
def class_that_counts(kit: Kit) -> Any:
    def __init__(this: Any, *args: Any) -> None:
        kit.note("made")
        kit.Session.__init__(this, *args)

    return with_class(kit.Cookies(), type("Counting", (kit.Session,), {"__init__": __init__}))


@interface
def class_that_changes_itself(kit: Kit) -> Any:
    def __init__(this: Any, *args: Any) -> None:
        kit.Session.__init__(this, *args)
        this["visits"] = this.get("visits", 0) + 1
        this.permanent = True

    cls = type("Visits", (kit.Session,), {"__init__": __init__})
    return type("Own", (kit.Cookies,), {"session_class": cls})()


@interface
def method_put_on_the_object(kit: Kit) -> Any:
    made = kit.Cookies()
    original = made.open_session

    def open_session(app: Any, request: Any) -> Any:
        return kit.note("opened", original(app, request))

    made.open_session = open_session
    return made


@interface
def refreshing(kit: Kit) -> Any:
    def open_session(this: Any, app: Any, request: Any) -> Any:
        kit.note("opened")
        session = kit.Cookies.open_session(this, app, request)
        session.permanent = True
        return session

    return type("Refreshing", (kit.Cookies,), {"open_session": open_session})()


@interface
def in_a_store(kit: Kit) -> Any:
    store: dict[str, Any] = {}
    cls = type("Stored", (dict, kit.Mixin), {})

    def open_session(this: Any, app: Any, request: Any) -> Any:
        kit.note("opened")
        return cls(store.get(request.cookies.get("sid", ""), {}))

    def save_session(this: Any, app: Any, session: Any, response: Any) -> None:
        kit.note("saved")
        store["one"] = dict(session)
        response.set_cookie("sid", "one")

    return type(
        "Store", (kit.Interface,), {"open_session": open_session, "save_session": save_session}
    )()


@interface
def always_null(kit: Kit) -> Any:
    names = {"open_session": lambda *_: kit.note("opened")}
    return type("Null", (kit.noting(kit.Cookies, "make_null_session", "save_session"),), names)()


@interface
def null_is_saved(kit: Kit) -> Any:
    names = {"open_session": lambda *_: None, "is_null_session": lambda *_: kit.note("null", False)}
    names["save_session"] = lambda _, app, session, response: response.set_cookie("saved", "null")
    return type("Null", (kit.Cookies,), names)()


@interface
def failing_to_open(kit: Kit) -> Any:
    names = {"open_session": lambda *_: 1 // kit.note("opened", 0)}
    return type("Failing", (kit.noting(kit.Cookies, "save_session"),), names)()


@interface
def failing_to_save(kit: Kit) -> Any:
    names = {"save_session": lambda *_: 1 // kit.note("saved", 0)}
    return type("Failing", (kit.Cookies,), names)()


@interface
def not_to_be_opened(kit: Kit) -> Any:
    names = {"open_session": lambda *_: (kit.note("opened"), kit.lib.abort(403))}
    return type("Refusing", (kit.noting(kit.Cookies, "save_session"),), names)()


def with_class(interface: Any, cls: type) -> Any:
    interface.session_class = cls
    return interface


class Plain:
    """Nothing but views: the fast lane."""

    is_async = False

    @staticmethod
    def set_up(app: Any, kit: Kit) -> None:
        """Add the hooks of this kind of app."""


class Hooked(Plain):
    """Hooks on the way in and out."""

    @staticmethod
    def set_up(app: Any, kit: Kit) -> None:
        app.before_request(lambda: kit.note("before"))
        app.after_request(lambda response: kit.note("after", response))
        app.teardown_request(lambda error: kit.note("teardown"))
        app.url_value_preprocessor(lambda *_: kit.note("preprocessor"))
        app.register_error_handler(404, lambda error: kit.note("handler", ("no page", 404)))


class Stopped(Plain):
    """A hook answers before the view."""

    @staticmethod
    def set_up(app: Any, kit: Kit) -> None:
        app.before_request(lambda: kit.note("before", "stopped"))


class Coroutines(Hooked):
    """The views are coroutine functions."""

    is_async = True


def make_app(kit: Kit, lane: type[Plain], interface: Any = None) -> Any:
    app = kit.App("sessions", static_folder=None)
    app.secret_key = "key"
    app.logger.disabled = True
    if interface is not None:
        app.session_interface = interface
    lane.set_up(app, kit)
    app.url_map.converters["item"] = converter(kit)
    session = kit.lib.session

    def item(value: Any) -> str:
        return f"item {value}"

    views: dict[str, Callable[..., Any]] = {
        "/": lambda: kit.note("view", "plain"),
        "/reads": lambda: str(sorted(session.items())),
        "/writes": lambda: str(session.update(n=session.get("n", 0) + 1)),
        "/clears": lambda: str(session.clear()),
        "/lasts": lambda: str(setattr(session, "permanent", True)),
        "/fails": lambda: kit.note("view", 1) // 0,
        "/aborts": lambda: kit.lib.abort(418),
        "/slash/": lambda: "slash",
        "/items/<item:value>": item,
        "/items/<item:value>/more": item,
    }
    for path, view in views.items():
        app.add_url_rule(path, path, in_coroutine(view) if lane.is_async else view)
    return app


def in_coroutine(view: Callable[..., Any]) -> Callable[..., Any]:
    async def coroutine(**values: Any) -> Any:
        return view(**values)

    return coroutine


def converter(kit: Kit) -> type[BaseConverter]:
    """Return a converter that fails in many ways, and looks at what is current."""

    class Item(BaseConverter):
        def to_python(self, value: str) -> Any:
            kit.note("converter")
            if value == "session":
                return sorted(kit.lib.session.items())
            if value in ERRORS:
                error = ERRORS[value]()
                raise error
            if value == "abort":
                kit.lib.abort(410)
            return value

    return Item


class Teapot(HTTPException):
    """An HTTP error of the program."""

    code = 418


ERRORS: dict[str, Callable[[], Exception]] = {
    "none": ValidationError,
    "value": ValueError,
    "key": KeyError,
    "teapot": Teapot,
    "redirect": lambda: RequestRedirect("/elsewhere"),
    "answer": lambda: HTTPException(response=flask.Response("answer", 402)),
}
ITEMS = [f"/items/{name}" for name in ("pen", "session", "abort", *ERRORS)]


def answer(kit: Kit, client: Any, method: str, path: str) -> Any:
    """Return what a request was answered, and what the program noted meanwhile."""
    kit.trace.clear()
    try:
        response = client.open(path, method=method)
    except ArithmeticError as error:
        return type(error), [*kit.trace]
    cookies = [
        re.sub(r"=[^;]*|\d\d:\d\d:\d\d", "", each)
        for each in response.headers.getlist("Set-Cookie")
    ]
    vary, location = response.headers.get("Vary"), response.headers.get("Location")
    found = response.status_code, vary, location, cookies, response.text, [*kit.trace]
    response.close()
    return found


REQUESTS = [
    ("GET", "/"), ("GET", "/reads"), ("GET", "/writes"), ("GET", "/"), ("GET", "/missing"),
    ("GET", "/lasts"), ("GET", "/"), ("GET", "/fails"), ("GET", "/aborts"), ("GET", "/slash"),
    ("POST", "/"), ("OPTIONS", "/"), ("HEAD", "/"), ("GET", "/items/session"),
    ("GET", "/items/none"), ("GET", "/reads"), ("GET", "/clears"), ("GET", "/"),
]  # fmt: skip


@pytest.mark.parametrize("lane", [Plain, Hooked, Stopped, Coroutines])
@pytest.mark.parametrize("make", INTERFACES.values(), ids=list(INTERFACES))
@pytest.mark.parametrize("refreshes", [True, False])
def test_a_session_is_opened_and_saved_as_in_flask(
    lane: type[Plain], make: Callable[[Kit], Any], refreshes: bool
) -> None:
    """In the same order with the hooks, also if the view does not use it, and on error pages."""
    kits = [Kit(flask), Kit(dewar)]
    clients = []
    for kit in kits:
        app = make_app(kit, lane, make(kit))
        app.config["SESSION_REFRESH_EACH_REQUEST"] = refreshes
        clients.append(app.test_client())
    for method, path in REQUESTS:
        expected, seen = (
            answer(kit, one, method, path) for kit, one in zip(kits, clients, strict=True)
        )
        assert seen == expected, (method, path)


@pytest.mark.parametrize("lane", [Plain, Hooked, Stopped, Coroutines])
@pytest.mark.parametrize("make", [shipped, in_a_store])
def test_a_converter_answers_as_in_flask(lane: type[Plain], make: Callable[[Kit], Any]) -> None:
    """It sees the app, the request and the session; its errors are answers, before any hook."""
    kits = [Kit(flask), Kit(dewar)]
    clients = [make_app(kit, lane, make(kit)).test_client() for kit in kits]
    for path in ["/writes", *ITEMS, *(f"{item}/more" for item in ITEMS)]:
        for method in ("GET", "POST", "HEAD"):
            expected, seen = (
                answer(kit, one, method, path) for kit, one in zip(kits, clients, strict=True)
            )
            assert seen == expected, (method, path)
