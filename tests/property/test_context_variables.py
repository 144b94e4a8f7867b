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
coroutine_sets = st.sets(st.sampled_from(["before", "view", "after", "teardown", "ended"]))


class Told:
    """An app whose parts set a context variable, and log what they read."""

    def __init__(
        self, framework: Any, app_class: Any, body: str, setters: set[str], coroutines: set[str]
    ) -> None:
        self.framework, self.body, self.setters = framework, body, setters
        self.log: list[str] = []
        app = self.app = app_class("told", static_folder=None)
        app.jinja_env.globals["tell"] = lambda: self.tell("step")
        self.coroutines = coroutines
        app.before_request(self.made("before", lambda: self.note("before")))
        app.after_request(self.made("after", lambda sent: self.note("after") or sent))
        app.teardown_request(self.made("teardown", lambda error: self.note("teardown")))
        app.teardown_appcontext(self.made("ended", lambda error: self.note("ended")))
        app.add_url_rule("/", "view", self.made("view", self.view))
        self.inner = app.wsgi_app
        app.wsgi_app = self.middleware

    def made(self, place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function of a place, as a coroutine function if it is to be one."""

        async def coroutine(*args: Any) -> Any:
            return function(*args)

        return coroutine if place in self.coroutines else function

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


@settings(max_examples=150)
@given(st.sampled_from(BODIES), sets, coroutine_sets)
def test_each_part_reads_what_it_reads_on_flask(
    body: str, setters: set[str], coroutines: set[str]
) -> None:
    """Middleware, hooks, the view, its stream, and the end of the stream; coroutines or not."""
    ours = Told(dewar, dewar.Dewar, body, setters, coroutines).answer()
    assert ours == Told(flask, flask.Flask, body, setters, coroutines).answer()


@settings(max_examples=40)
@given(st.sampled_from(BODIES), sets, coroutine_sets)
def test_a_server_changes_nothing_of_it(body: str, setters: set[str], coroutines: set[str]) -> None:
    """Each step of a stream is in the context of its request, also on the event loop."""
    # Middleware gets a coroutine's answer before the view has begun.
    late = {"middleware"} if coroutines else set()
    parts = dewar, dewar.Dewar, body, setters - late, coroutines
    text, log = Told(*parts).answer()
    told_of = Told(*parts)
    served = Served(told_of.app, None, {"threads": 2})
    try:
        client = served.client()
        client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert client.rest().partition(b"\r\n\r\n")[2].decode() == text
    finally:
        served.stop()
    assert without(late, told_of.log) == without(late, log)


def without(places: set[str], log: list[str]) -> list[str]:
    return [entry for entry in log if entry.partition(":")[0] not in places]
