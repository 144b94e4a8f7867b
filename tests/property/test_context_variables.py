"""Context variables: whoever sets them, whoever reads them sees what it sees on Flask."""

from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import flask
from hypothesis import given, settings
from hypothesis import strategies as st

import dewar
from servertools import Served

PLACES = ["middleware", "before", "view", "made", "after", "this", "teardown", "ended", "step"]
BODIES = ["text", "plain", "response", "context", "context response", "decorated", "template"]

told: ContextVar[str] = ContextVar("told", default="unset")
sets = st.sets(st.sampled_from(PLACES))


class Told:
    """An app whose parts set a context variable, and log what they read."""

    def __init__(self, framework: Any, app_class: Any, body: str, setters: set[str]) -> None:
        self.framework, self.body, self.setters = framework, body, setters
        self.log: list[str] = []
        app = self.app = app_class("told", static_folder=None)
        app.jinja_env.globals["tell"] = lambda: self.tell("step")
        app.before_request(lambda: self.note("before"))
        app.after_request(lambda response: self.note("after") or response)
        app.teardown_request(lambda error: self.note("teardown"))
        app.teardown_appcontext(lambda error: self.note("ended"))
        app.add_url_rule("/", "view", self.view)
        self.inner = app.wsgi_app
        app.wsgi_app = self.middleware

    def tell(self, place: str) -> str:
        """Read the variable, set it if this place does, and return what it was."""
        before = told.get()
        self.log.append(f"{place}: {before}")
        if place in self.setters:
            told.set(f"{before} {place}")
        return before

    def note(self, place: str) -> None:
        self.tell(place)

    def middleware(self, environ: Any, start_response: Any) -> Any:
        self.tell("middleware")
        body = self.inner(environ, start_response)
        self.tell("middleware")
        return body

    def pieces(self) -> Iterator[str]:
        for _ in range(3):
            yield f"{self.tell('step')}|"

    def view(self) -> Any:
        self.tell("view")
        made = self.make()
        self.framework.after_this_request(lambda response: self.note("this") or response)
        self.tell("made")
        return made

    def make(self) -> Any:
        framework, app = self.framework, self.app
        makers: dict[str, Callable[[], Any]] = {
            "text": lambda: "text",
            "plain": self.pieces,
            "response": lambda: app.response_class(self.pieces()),
            "context": lambda: framework.stream_with_context(self.pieces()),
            "context response": lambda: app.response_class(
                framework.stream_with_context(self.pieces())
            ),
            "decorated": lambda: framework.stream_with_context(self.pieces)(),
            "template": lambda: framework.stream_template_string("{{ tell() }}|{{ tell() }}"),
        }
        return makers[self.body]()

    def answer(self) -> tuple[str, list[str]]:
        """Ask in a context of its own, as a server does."""
        text = copy_context().run(lambda: self.app.test_client().get("/").text)
        return text, self.log


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(BODIES), sets)
def test_each_part_reads_what_it_reads_on_flask(body: str, setters: set[str]) -> None:
    """Middleware, hooks, the view, its stream, and the end of the stream."""
    ours = Told(dewar, dewar.Dewar, body, setters).answer()
    assert ours == Told(flask, flask.Flask, body, setters).answer()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(BODIES), sets)
def test_a_server_changes_nothing_of_it(body: str, setters: set[str]) -> None:
    """Each step of a stream is in the context of its request."""
    expected = Told(dewar, dewar.Dewar, body, setters).answer()
    served_app = Told(dewar, dewar.Dewar, body, setters)
    served = Served(served_app.app, None, {"threads": 2})
    try:
        client = served.client()
        client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        text = client.rest().partition(b"\r\n\r\n")[2].decode()
    finally:
        served.stop()
    assert (text, served_app.log) == expected
