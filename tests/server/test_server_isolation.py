"""What one request changes is never there for another one: not its environ, request or response."""

import io
import types
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from dewar import Dewar, Response, redirect, request, session
from dewar.config import Config
from dewar.json.provider import JSONProvider
from dewar.mounting.mount_point import MountPoint
from servertools import Client, Serve

PLANTED = "what-another-visitor-left"
# What belongs to the program, and not to a request: its code, and what it has registered.
PROGRAM = (
    type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType,
    types.MethodWrapperType, partial, Dewar, Config, JSONProvider, Map, MountPoint, Rule,
)  # fmt: skip
FIELDS = {"Cookie": "a=b", "Accept": "text/html", "Accept-Language": "de, en", "If-Match": '"x"'}


def reachable(*roots: object) -> Iterator[tuple[Any, list[type]]]:
    """Yield *roots* and all that they lead to through items and attributes, with the way there."""
    seen: dict[int, object] = {}  # the objects too, so that no id is used again
    rest: list[tuple[Any, list[type]]] = [(root, []) for root in roots]
    while rest:
        subject, way = rest.pop()
        if id(subject) not in seen and not isinstance(subject, PROGRAM):
            seen[id(subject)] = subject
            yield subject, way
            rest.extend((part, [*way, type(subject)]) for part in parts(subject))


def parts(subject: Any) -> list[Any]:
    """Return the items and attributes of one object."""
    found = list(getattr(subject, "__dict__", {}).values())
    for base in type(subject).__mro__:
        slots = vars(base).get("__slots__", ())
        names = [slots] if isinstance(slots, str) else slots
        found += [getattr(subject, name) for name in names if hasattr(subject, name)]
    if isinstance(subject, dict):
        found += [*dict.keys(subject), *dict.values(subject)]
    elif isinstance(subject, list | tuple | set | frozenset):
        found += list(subject)
    return found


def plant(subject: Any) -> None:
    """Leave the text in each way that *subject* allows."""
    if isinstance(subject, dict):
        dict.__setitem__(subject, PLANTED, PLANTED)
    elif isinstance(subject, list):
        list.append(subject, (PLANTED, PLANTED))
    elif isinstance(subject, set):
        set.add(subject, PLANTED)
    elif isinstance(subject, io.BytesIO):
        subject.write(PLANTED.encode())
    for name in ("planted", "read", "write", "get", "__call__"):
        try:
            object.__setattr__(subject, name, PLANTED)
        except (AttributeError, TypeError):
            continue


def is_planted(subject: Any) -> bool:
    """Return whether the text is in *subject*."""
    if isinstance(subject, str):
        return PLANTED in subject
    if isinstance(subject, io.BytesIO):
        return PLANTED.encode() in subject.getvalue()
    return False


def look_and_plant(environ: dict[str, Any], *more: Any) -> str:
    """Return what an earlier request has left; leave something, if the query says so."""
    subjects = list(reachable(environ, *more))
    found = [way for subject, way in subjects if is_planted(subject)]
    if environ["QUERY_STRING"] == "plant":
        for subject, _ in subjects:
            plant(subject)
    return f"by way of {found}" if found else "nothing"


def touch() -> None:
    """Have the request work out all that it keeps."""
    for name in (
        "args", "cookies", "headers", "accept_languages", "accept_mimetypes", "values", "form",
        "access_route", "user_agent", "cache_control", "if_match", "range", "blueprints", "url",
        "content_type", "data", "view_args", "url_rule",
    ):  # fmt: skip
        getattr(request, name)


def answer(response: Response) -> Response:
    """Look at what belongs to the request; say in a field what was found."""
    touch()
    current = request._get_current_object()  # type: ignore[attr-defined]
    found = look_and_plant(request.environ, current, response)
    if request.environ["QUERY_STRING"] == "plant":
        # Neither can be used any more.
        response = Response("planted")
        current.__dict__.pop("files", None)
    response.headers["X-Found"] = found
    return response


async def answer_async(response: Response) -> Response:
    """Do the same in a coroutine, so that the event loop alone can answer."""
    return answer(response)


def set_session() -> str:
    """Change the session."""
    session["a"] = "b"
    return "set"


async def in_coroutine() -> str:
    """Answer on the event loop."""
    return "async"


PATHS = ("/", "/json", "/some-name", "/moved", "/set", "/async", "/missing/page")


def make_app(name: str, after: Any = answer) -> Dewar:
    """Return an app with views of all lanes, and *after* behind them."""
    app = Dewar(name)
    app.secret_key = "key"
    app.after_request(after)
    app.add_url_rule("/", "index", lambda: "index")
    app.add_url_rule("/json", "json", lambda: {"a": [1]})
    app.add_url_rule("/<name>", "named", lambda name: name)
    app.add_url_rule("/moved", "moved", lambda: redirect("/"))
    app.add_url_rule("/set", "set", set_session)
    app.add_url_rule("/async", "async", in_coroutine)
    return app


def wsgi_app(environ: Any, start_response: Any) -> Any:
    """Do the same without the framework."""
    found = look_and_plant(environ)
    start_response("200 OK", [("X-Found", found), ("Content-Length", "0")])
    return []


def found_by(client: Client, prefix: str, query: str) -> set[bytes]:
    """Return what the requests of one connection have found."""
    found = set()
    for path in PATHS:
        for method in ("GET", "POST"):
            fields = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
            head = f"{method} {prefix}{path}{query} HTTP/1.1\r\nHost: x\r\n{fields}"
            body = "Content-Length: 2\r\n\r\na=" if method == "POST" else "\r\n"
            found.add(client.ask((head + body).encode())[1][b"x-found"])
    return found


@pytest.mark.parametrize("threads", [1, 4])
def test_no_request_finds_what_another_has_left(serve: Serve, threads: int) -> None:
    """On the same connection, on another one, in another app, and on the event loop."""
    app = make_app("root")
    app.mount("/admin", make_app("admin"))
    app.mount("/loop", make_app("loop", answer_async))
    app.mount("/wsgi", wsgi_app)
    served = serve(app, threads=threads)
    first = served.client()
    prefixes = ("", "/admin", "/loop", "/wsgi")
    for prefix in prefixes:
        assert found_by(first, prefix, "?plant") == {b"nothing"}
        assert found_by(first, prefix, "") == {b"nothing"}
    for prefix in prefixes:
        assert found_by(served.client(), prefix, "") == {b"nothing"}


def test_what_is_left_would_be_found() -> None:
    """The search goes through items, attributes, slots and files."""

    class Slots:
        __slots__ = ("inner",)

    slots = Slots()
    slots.inner = [{"body": io.BytesIO()}]
    environ = {"QUERY_STRING": "plant", "deep": slots}
    assert look_and_plant(environ) == "nothing"
    assert look_and_plant({"QUERY_STRING": "", "body": slots.inner[0]["body"]}) != "nothing"
    assert look_and_plant({"QUERY_STRING": "", "deep": slots}) != "nothing"
