"""Apps whose functions are asynchronous or not and fail anywhere, by random choice.

The same choice makes an app of Dewar, its twin without a coroutine, and the same on Flask.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import flask
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException

from dewar.loop.process_loop import process_loop
from suspendedtools import shown

#: Set by every function to one more than it finds.
depth: ContextVar[int] = ContextVar("depth", default=0)

FAILURES = ("boom", "http", "key", "exit", "cancelled")
HANDLED = ("403", "404", "405", "500", "boom", "exception")
KINDS = (
    "str", "bytes", "dict", "list", "status", "headers", "all three", "response", "generator",
    "async generator", "response of async generator", "wsgi", "http error", "none", "number",
)  # fmt: skip
SIGNALS = (
    "request_started", "request_finished", "got_request_exception", "request_tearing_down",
    "appcontext_pushed", "appcontext_tearing_down", "appcontext_popped",
)  # fmt: skip
# Where an error keeps Flask from running the teardown functions that are left.
FRAGILE = (
    "teardown_request", "bp.teardown_request", "teardown_appcontext", "request_tearing_down",
    "appcontext_pushed", "appcontext_tearing_down", "appcontext_popped",
)  # fmt: skip
# In the order in which they are registered. Each may be there twice.
HOOKS = (
    "before_request", "bp.before_request", "after_request", "bp.after_request",
    "teardown_request", "bp.teardown_request", "teardown_appcontext", "url_value_preprocessor",
    "bp.url_value_preprocessor",
)  # fmt: skip


class Boom(Exception):
    """An error that an app may have a handler for."""


@dataclass(frozen=True)
class Slot:
    """One function of an app.

    Attributes:
        place: What it is registered as.
        is_async: Whether it is a coroutine function.
        waits: Whether a coroutine function waits before its work.
        fails: How it fails; empty for not at all.
        does: What it does besides: answer where it may, open the session, ask for another
            function after this request.
    """

    place: str
    is_async: bool = False
    waits: bool = False
    fails: str = ""
    does: str = ""

    @property
    def is_fragile(self) -> bool:
        """Whether its error keeps Flask from the rest."""
        return self.place.removeprefix("signal.") in FRAGILE


@dataclass(frozen=True)
class Behaviour:
    """What an app is made of, and what it is asked."""

    slots: tuple[Slot, ...]
    view: Slot
    kind: str
    method: str = "GET"
    path: str = "/bp/view"
    propagates: bool | None = None
    has_cookie: bool = False

    @property
    def is_beyond_flask(self) -> bool:
        """Whether something fails where Flask leaves the rest undone, or goes on without."""
        forgets = any(s.does == "answers" and s.place.endswith("after_request") for s in self.slots)
        return forgets or any(slot.fails and slot.is_fragile for slot in self.slots)

    def tamed(self) -> "Behaviour":
        """Return the same with nothing that Flask has another way with, or none."""
        kind = self.kind.replace("async generator", "generator")
        return replace(
            self, slots=tuple(map(_tamed, self.slots)), view=_tamed(self.view), kind=kind
        )

    def twin(self) -> "Behaviour":
        """Return the same without coroutines."""
        slots = tuple(replace(slot, is_async=False) for slot in self.slots)
        return replace(self, slots=slots, view=replace(self.view, is_async=False))


def _tamed(slot: Slot) -> Slot:
    fails = slot.fails if slot.fails in ("boom", "http", "key") and not slot.is_fragile else ""
    forgets = slot.does == "answers" and slot.place.endswith("after_request")
    return replace(slot, fails=fails, does="" if forgets else slot.does)


def slots(place: str, asynchronous: st.SearchStrategy[bool]) -> st.SearchStrategy[Slot]:
    """Return the ways in which a function can be."""
    failures = st.sampled_from(("",) * 9 + FAILURES)
    does = st.sampled_from(("", "", "", "answers", "session", "after"))
    can_wait = "url_value" not in place
    return st.builds(
        Slot, st.just(place), asynchronous if can_wait else st.just(False), st.booleans(), failures,
        does,
    )  # fmt: skip


@st.composite
def behaviours(draw: st.DrawFn) -> Behaviour:
    """Draw an app and a request."""
    # Those that are wholly asynchronous are drawn often: they have a lane of their own.
    asynchronous = st.just(True) if draw(st.booleans()) else st.booleans()
    drawn = []
    for place in (*HOOKS, *("signal." + s for s in SIGNALS), *("handler." + h for h in HANDLED)):
        most = 1 if "." in place and not place.startswith("bp.") else 2
        odds = draw(st.integers(0, 5))
        drawn += [draw(slots(place, asynchronous)) for _ in range(max(0, most - odds))]
    return Behaviour(
        slots=tuple(drawn),
        view=draw(slots("view", asynchronous)),
        kind=draw(st.sampled_from(KINDS)),
        method=draw(st.sampled_from(("GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT"))),
        path=draw(st.sampled_from(("/bp/view",) * 4 + ("/", "/bp/dir", "/missing", "/bp/missing"))),
        propagates=draw(st.sampled_from((None, None, True))),
        has_cookie=draw(st.booleans()),
    )


@dataclass
class Traced:
    """An app and what its functions have noted.

    Attributes:
        notes: For each function: its name, what it was given, and what it saw.
        misplaced: What ran on the wrong thread.
    """

    app: Any
    notes: list[Any] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)


class Builder:
    """Makes an app of a behaviour.

    Args:
        framework: `dewar` or `flask`.
        app_class: The class of the app.
        behaviour: What it does.
    """

    def __init__(self, framework: Any, app_class: Any, behaviour: Behaviour) -> None:
        self._framework = framework
        self._behaviour = behaviour
        self._app = app_class("lanes", static_folder=None)
        self._made = Traced(self._app)
        self._receivers: list[tuple[Any, Any]] = []

    @contextmanager
    def traced(self) -> Iterator[Traced]:
        """Have the app with its receivers connected."""
        app, behaviour = self._app, self._behaviour
        app.secret_key = "key"
        app.logger.disabled = True
        app.config["PROPAGATE_EXCEPTIONS"] = behaviour.propagates
        blueprint = self._framework.Blueprint("bp", "lanes", url_prefix="/bp")
        for number, slot in enumerate(behaviour.slots):
            self._register(blueprint, slot, f"{slot.place} {number}")
        view = self._function(behaviour.view, "view", lambda *_: self._returned(behaviour.kind))
        methods = ["GET", "POST"]
        app.add_url_rule("/", "home", view, methods=methods)
        blueprint.add_url_rule("/view", "view", view, methods=methods)
        blueprint.add_url_rule("/dir/", "dir", view, methods=methods)
        app.register_blueprint(blueprint)
        try:
            yield self._made
        finally:
            for signal, receiver in self._receivers:
                signal.disconnect(receiver)

    def _register(self, blueprint: Any, slot: Slot, name: str) -> None:
        kind, _, what = slot.place.rpartition(".")
        if kind == "signal":
            signal = getattr(self._framework, what)
            receiver = self._function(slot, name, lambda *_: None)
            signal.connect(receiver, self._app)
            self._receivers.append((signal, receiver))
        elif kind == "handler":
            whom = {"boom": Boom, "exception": Exception}.get(what) or int(what)
            owner = blueprint if len(name) % 2 else self._app
            answer = self._function(slot, name, lambda *_: (f"handled by {name}", 418))
            owner.register_error_handler(whom, answer)
        else:
            answer = self._function(slot, name, self._result_of(slot, what, name))
            getattr(blueprint if kind else self._app, what)(answer)

    def _result_of(self, slot: Slot, what: str, name: str) -> Callable[..., Any]:
        if what == "before_request":
            return lambda *_: f"answer of {name}" if slot.does == "answers" else None
        if what == "after_request":
            return lambda response: _stamped(response, name, slot)
        return lambda *_: None

    def _function(self, slot: Slot, name: str, result: Callable[..., Any]) -> Callable[..., Any]:
        def work(*args: Any, **kwargs: Any) -> Any:
            self._note(slot, name, (*args, *kwargs.values()))
            self._do(slot, name)
            return result(*args)

        async def async_work(*args: Any, **kwargs: Any) -> Any:
            if slot.waits:
                await asyncio.sleep(0)
            return work(*args, **kwargs)

        return async_work if slot.is_async else work

    def _note(self, slot: Slot, name: str, given: tuple[Any, ...]) -> None:
        framework = self._framework
        if process_loop.is_here() is not slot.is_async and framework is not flask:
            self._made.misplaced.append(f"{name} ran on {threading.current_thread().name}")
        # Flask has taken the request off when the app's context ends.
        seen: list[Any] = []
        if "appcontext" not in slot.place and framework.has_request_context():
            seen.append(framework.request.path)
        if framework.has_app_context():
            framework.g.count = framework.g.get("count", 0) + 1
            seen.append(framework.g.count)
        depth.set(depth.get() + 1)
        self._made.notes.append((name, [_shown(item) for item in given], seen, depth.get()))

    def _do(self, slot: Slot, name: str) -> None:
        framework = self._framework
        if slot.does == "session" and "appcontext" not in slot.place:
            framework.session["by"] = name
        if slot.does == "after" and slot.place.rpartition(".")[2] in ("before_request", "view"):
            after = Slot("after_this_request", slot.is_async, slot.waits)
            called = self._function(after, f"after {name}", lambda r: _stamped(r, "this", after))
            framework.after_this_request(called)
        if slot.fails == "http":
            framework.abort(403)
        if slot.fails:
            errors = {"boom": Boom, "key": KeyError, "exit": SystemExit}
            raise errors.get(slot.fails, asyncio.CancelledError)(name)

    def _returned(self, kind: str) -> Any:
        response_class = self._app.response_class
        plain: dict[str, Any] = {
            "str": "text", "bytes": b"bytes", "dict": {"a": 1}, "list": [1, None],
            "status": ("created", 201), "headers": ("more", {"X-More": "1"}),
            "all three": ({"a": 1}, "202 Fine", [("X-A", "1"), ("X-A", "2")]),
            "none": None, "number": 7,
        }  # fmt: skip
        if kind == "response":
            return response_class("made", headers={"X-Made": "1"})
        if kind == "generator":
            return (piece for piece in ("a", "b", "c"))
        if kind == "async generator":
            return self._stream()
        if kind.startswith("response of"):
            pieces = self._stream() if "async" in kind else iter(("a", "b", "c"))
            response = response_class(pieces, mimetype="text/plain")
            response.call_on_close(lambda: self._made.notes.append("closed"))
            return response
        if kind == "wsgi":
            return self._wsgi
        if kind == "http error":
            return HTTPException("returned", response_class("of its own"))
        return plain[kind]

    def _stream(self) -> Any:
        if not self._behaviour.view.is_async:
            return iter(("x", "y", "z"))

        async def pieces() -> Any:
            for piece in "xyz":
                await asyncio.sleep(0)
                yield piece

        return pieces()

    def _wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        if process_loop.is_here():
            self._made.misplaced.append("a WSGI callable ran on the loop")
        start_response("203 By WSGI", [("X-By", "wsgi")])
        return [b"from ", b"wsgi"]


def _stamped(response: Any, name: str, slot: Slot) -> Any:
    if slot.does == "answers":
        return None  # forgotten
    response.headers.add("X-Seen", name)
    return response


def _shown(given: Any) -> str:
    if isinstance(given, BaseException):
        return shown(given)
    status = getattr(given, "status", None)
    return f"{type(given).__name__} {status or given}" if "Response" in type(given).__name__ else ""
