"""The paths that are counted, in the order in which the program takes them."""

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar
from wsgiref.types import WSGIApplication

from bench.apps import raw
from bench.counters import apps
from bench.counters.in_process import InProcess
from bench.counters.requests import Request
from bench.counters.wire import Wire, WireOnLoop

_T = TypeVar("_T")
#: Requests before the first that is counted: more than CPython needs to specialise its bytecode.
_WARM_UP = 60
#: Those that never repeat a field fill the server's caches first.
_FILL_CACHES = 1000


class Path(Protocol):
    """A way to send requests."""

    def check(self) -> None:
        """Send a request; raise ValueError if the response is not the expected kind."""

    def here(self, function: Callable[[], _T]) -> _T:
        """Call a function on the thread where requests are served."""

    def prepare(self, count: int) -> Callable[[], None]:
        """Return a function that sends a number of requests."""

    def prepare_client(self, count: int) -> Callable[[], None]:
        """Return a function that does what is no part of Dewar in that."""


def open_paths() -> Iterator[tuple[str, Path]]:
    """Return each path with its name, warm."""
    for name, path in itertools.chain(_in_process(), _wire()):
        path.check()
        never_repeats = name == "wire: fields that never repeat"
        path.here(path.prepare(_FILL_CACHES if never_repeats else _WARM_UP))
        yield name, path


def _in_process() -> Iterator[tuple[str, Path]]:
    app = apps.app
    hello = Request()
    for name, request in _requests(app):
        yield name, InProcess(app, request)
    yield "3 before, 2 after", InProcess(apps.make_hooked_app(), hello)
    for depth in (1, 5):
        request = Request(path="/inner/")
        yield f"blueprint, {depth} deep", InProcess(apps.make_nested_app(depth), request)
    for rules in (10, 200):
        request = Request(path=f"/part{rules // 2}/7")
        yield f"1 of {rules:,} rules", InProcess(apps.make_routed_app(rules), request)


def _requests(app: WSGIApplication) -> Iterator[tuple[str, Request]]:
    yield "/", Request()
    yield "/json", Request(path="/json")
    yield "/user/<int>?q=", Request(path="/user/42", query="q=tea")
    yield "request.args, missing", Request(path="/args-missing")
    yield "request.headers", Request(path="/header")
    yield "request.cookies", Request(path="/cookie", fields={"Cookie": "flavour=plain; b=2"})
    yield "request.get_json()", _post("/posted-json", "application/json", b'{"number": 42}')
    yield "request.form", _post("/posted-form", "application/x-www-form-urlencoded", b"name=Ada")
    written = Request(path="/session-write")
    yield "session, written", written
    fields = dict(InProcess(app, written).answer()[1])
    cookie = {"Cookie": fields["Set-Cookie"].partition(";")[0]}
    yield "session, read", Request(path="/session-read", fields=cookie)
    yield "404", Request(path="/nowhere")


def _wire() -> Iterator[tuple[str, Path]]:
    app = apps.app
    for name, request in {
        "wire: /": Request(),
        "wire: /user/<int>?q=": Request(path="/user/42", query="q=tea"),
        "wire: session, written": Request(path="/session-write"),
        "wire: POST, small JSON": _post("/posted-json", "application/json", b'{"number": 42}'),
    }.items():
        yield name, Wire(app, _repeat(request))
    yield "wire: coroutine view", WireOnLoop(app, _repeat(Request(path="/coroutine")))
    yield "wire: raw", Wire(raw.app, _repeat(Request()))
    logged = Wire(raw.app, _repeat(Request()), access_log=True, access_log_file=os.devnull)
    yield "wire: raw, access log", logged
    numbers = itertools.count(100_000)
    yield "wire: fields that never repeat", Wire(raw.app, lambda count: _new(numbers, count))


def _post(path: str, content_type: str, body: bytes) -> Request:
    fields = {"Content-Type": content_type}
    return Request(method="POST", path=path, fields=fields, body=body)


def _repeat(request: Request) -> Callable[[int], list[bytes]]:
    message = request.message()
    return lambda count: [message] * count


def _new(numbers: Iterator[int], count: int) -> list[bytes]:
    return [
        Request(
            query=f"q={number}",
            fields={"User-Agent": f"bench/{number}", "Cookie": f"id={number}"},
        ).message()
        for number in itertools.islice(numbers, count)
    ]
