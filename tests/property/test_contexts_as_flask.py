"""Any program of contexts and clients sees on Dewar what it sees on Flask, and ends alike."""

from collections.abc import Callable
from contextvars import copy_context
from types import ModuleType
from typing import Any

import flask
from hypothesis import given, settings
from hypothesis import strategies as st

import dewar

PATHS = ["/", "/nested", "/other", "/missing", "/fails", "/stream", "/asks"]
ERRORS = [(), (None,), (KeyError("x"),)]


@st.composite
def programs(draw: st.DrawFn) -> list[Any]:
    """Steps that push, pop, send requests and end; most pops are near the innermost."""
    program: list[Any] = []
    pushed: list[Any] = []
    apps = st.integers(0, 1)
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(["app", "request", "client", "pop", "pop", "visit", "more"]))
        one = (kind, draw(apps), draw(st.integers(0, 1)))
        if kind == "pop":
            if pushed:
                program.append(draw(popping(pushed)))
        elif kind == "visit":
            inside = [each for each in pushed if each[0] == "client"]
            client = draw(st.sampled_from([*inside, ("client", *one[1:])]))
            program.append(("visit", client, draw(st.sampled_from(PATHS))))
        elif kind == "more":
            program.append((draw(st.sampled_from(["set", "transact"])), ("client", *one[1:])))
        else:
            pushed.append(one)
            program.append(("push", one))
    while pushed:
        program.append(draw(popping(pushed)))
    return program


@st.composite
def popping(draw: st.DrawFn, pushed: list[Any]) -> tuple[Any, ...]:
    """A step that pops one of the innermost."""
    place = draw(st.sampled_from([1, 1, 1, 1, 2, 2, 3]))
    return "pop", pushed.pop(-min(place, len(pushed))), draw(st.sampled_from(ERRORS))


class Program:
    """The apps, contexts and clients of one framework, and what a program has seen of them.

    Args:
        framework: Flask or Dewar.
        is_watched: Whether teardown functions look on.
        signals: The signals that are looked at.
    """

    def __init__(self, framework: ModuleType, is_watched: bool, signals: list[str]) -> None:
        self.framework = framework
        self.is_watched = is_watched
        self.signals = signals
        self.seen: list[Any] = []
        # A signal does not keep its receivers alive.
        self.receivers: list[Any] = []
        self.apps = [self.make_app(name) for name in ("first", "second")]
        self.all: dict[Any, Any] = {}

    def make_app(self, name: str) -> Any:
        make = getattr(self.framework, "Flask", None) or self.framework.Dewar
        app = make(name, static_folder=None)
        app.secret_key = "key"
        app.logger.disabled = True
        if self.is_watched:
            self.watch(app)
        app.add_url_rule("/", "index", self.view)
        app.add_url_rule("/nested", "nested", lambda: self.nested(app))
        app.add_url_rule("/other", "other", lambda: self.nested(self.apps[0]))
        app.add_url_rule("/fails", "fails", lambda: 1 // 0)
        app.add_url_rule("/stream", "stream", self.stream)
        app.add_url_rule("/asks", "asks", lambda: self.apps[-1].test_client().get("/").text)
        return app

    def watch(self, app: Any) -> None:
        name = app.name
        app.teardown_request(lambda error: self.note("request ends", name, type(error)))
        # Flask has taken the request off by now, so it is not looked at.
        app.teardown_appcontext(lambda error: self.seen.append(("ends", name, type(error))))
        for signal in self.signals:
            self.receivers.append(lambda _, signal=signal, **__: self.seen.append((signal, name)))
            getattr(self.framework, signal).connect(self.receivers[-1], app)

    def view(self) -> str:
        self.note("view")
        self.framework.g.view = "seen"
        self.framework.session["n"] = self.framework.session.get("n", 0) + 1
        return "ok"

    def nested(self, app: Any) -> str:
        with app.app_context():
            self.note("in an app context")
            with app.test_request_context("/inner"):
                self.note("in a request")
        return self.view()

    def stream(self) -> Any:
        def pieces() -> Any:
            # Not noted: Dewar enters each step without its signals, and Flask all of them once.
            yield repr(self.current())
            self.framework.g.streamed = True
            yield repr(self.current())

        return self.framework.Response(self.framework.stream_with_context(pieces()))

    def current(self) -> tuple[Any, ...]:
        """Return what is current."""
        current_app, g = self.framework.current_app, self.framework.g
        request = self.framework.request
        return (
            current_app.name if current_app else None,
            sorted(vars(g._get_current_object()).items()) if g else None,
            request.path if request else None,
            dict(self.framework.session) if request else None,
            self.framework.has_app_context(),
            self.framework.has_request_context(),
        )

    def note(self, *what: Any) -> None:
        """Record what is current."""
        self.seen.append((*what, *self.current()))

    def made(self, key: tuple[str, int, int]) -> Any:
        """Return the context or the client of this name."""
        if key not in self.all:
            kind, number, again = key
            app = self.apps[number]
            self.all[key] = {
                "app": app.app_context,
                "client": app.test_client,
                "request": lambda: app.test_request_context(f"/{number}{again}"),
            }[kind]()
        return self.all[key]

    def do(self, number: int, what: str, key: Any, *args: Any) -> None:
        one = self.made(key)
        if what == "push":
            (one.__enter__ if key[0] == "client" else one.push)()
        elif what == "pop":
            if key[0] == "client":
                one.__exit__(None, None, None)
            else:
                one.pop(*args[0])
        elif what == "visit":
            response = one.get(*args)
            self.seen.append((response.status_code, response.text))
            response.close()
        elif what == "transact":
            with one.session_transaction() as session:
                session["n"] = number
        elif self.framework.g:
            setattr(self.framework.g, f"step{number}", number)

    def run(self, program: list[Any]) -> list[Any]:
        """Return what was seen, up to the first error."""
        for number, step in enumerate(program):
            before = len(self.seen)
            try:
                self.do(number, *step)
            except (AssertionError, RuntimeError, LookupError):
                # Flask has run teardown functions by now, and Dewar changes nothing.
                return [*self.seen[:before], "raised"]
            self.note(step)
        return self.seen


def enters_again(program: list[Any]) -> bool:
    """Whether a client or a stream may enter the app context of an outer request again.

    Flask does, and sends the signals. In Dewar it is one with that request, which is there already.
    """
    return any(("client" in step[1] and step[0] == "push") or "/stream" in step for step in program)


def run_on(framework: ModuleType, program: list[Any], is_watched: bool) -> list[Any]:
    """Return what a program sees; nothing of it stays current."""
    signals = [] if enters_again(program) else ["appcontext_pushed", "appcontext_popped"]
    run: Callable[..., list[Any]] = Program(framework, is_watched, signals).run
    return copy_context().run(run, program)


@settings(max_examples=150)
@given(programs(), st.booleans())
def test_a_program_sees_the_same(program: list[Any], is_watched: bool) -> None:
    """The app, `g`, the request and the session; and what its teardown functions are told."""
    expected, seen = (run_on(each, program, is_watched) for each in (flask, dewar))
    if expected[-1:] == ["raised"] and enters_again(program):
        # Dewar may not mind.
        *expected, _ = expected
        seen = seen[: len(expected)]
    assert seen == expected
