"""`event_stream`, through the test client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from dewar import (
    Dewar,
    DewarError,
    Response,
    ServerSentEvent,
    event_stream,
    g,
    has_request_context,
    request,
)
from dewar.events.event import KEEP_ALIVE_COMMENT
from eventtools import Received, read_events

SOON = 20.0


@pytest.fixture
def app() -> Dewar:
    return Dewar("events", static_folder=None)


def plain(items: list[Any]) -> Any:
    yield from items


async def asynchronous(items: list[Any]) -> Any:
    for item in items:
        yield item


class Cursor:
    """An iterator with a close, as a database's is."""

    def __init__(self) -> None:
        self.closes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return "row"

    def close(self) -> None:
        self.closes += 1


both = pytest.mark.parametrize("kind", [plain, asynchronous])


def served(app: Dewar, make: Callable[[], Any]) -> None:
    """Serve what a function returns."""
    app.add_url_rule("/events", "events", make)


@both
def test_texts_json_and_events_are_sent(app: Dewar, kind: Any) -> None:
    """As the client reads them, with headers that keep all between from collecting them."""
    items = ["a\nb", {"n": 1}, [2], ServerSentEvent(3, event="three", id="3"), ""]
    served(app, lambda: event_stream(kind(items)))
    answer = app.test_client().get("/events")
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in answer.headers
    assert read_events(answer.data).events == [
        Received("message", "a\nb", ""),
        Received("message", '{"n": 1}', ""),
        Received("message", "[2]", ""),
        Received("three", "3", "3"),
        Received("message", "", "3"),
    ]


@both
def test_json_is_the_app_s(app: Dewar, kind: Any) -> None:
    """What its provider writes, an event has."""
    app.json.dumps = lambda value, **_: f"<{value}>"  # type: ignore[method-assign]
    served(app, lambda: event_stream(kind([[1]])))
    assert app.test_client().get("/events").text == ": open\n\ndata: <[1]>\n\n"


@both
def test_the_client_knows_at_once_that_it_is_connected(app: Dewar, kind: Any) -> None:
    """Something is sent before the source has said anything; the pause, where there is one."""
    served(app, lambda: event_stream(kind([]), retry=0.5))
    assert app.test_client().get("/events").text == "retry: 500\n\n"


@both
def test_a_function_is_called(app: Dewar, kind: Any) -> None:
    """So that it may be decorated."""
    served(app, lambda: event_stream(lambda: kind(["x"])))
    assert app.test_client().get("/events").text.endswith("data: x\n\n")


def test_headers_may_be_given(app: Dewar) -> None:
    """Besides those it has, and in their place."""
    headers = {"Cache-Control": "no-cache", "X-Name": "x"}
    served(app, lambda: event_stream(["x"], headers=headers))
    answer = app.test_client().get("/events")
    assert (answer.headers["Cache-Control"], answer.headers["X-Name"]) == ("no-cache", "x")
    assert answer.headers.getlist("Cache-Control") == ["no-cache"]


def test_the_response_is_of_the_app_s_class(app: Dewar) -> None:
    """As for any other view."""

    class Own(Response):
        pass

    app.response_class = Own
    with app.test_request_context():
        assert isinstance(event_stream([]), Own)


def test_the_request_is_there_to_the_end(app: Dewar) -> None:
    """Also after a pause, in JSON, and where the source ends; and torn down after it."""
    seen: list[str] = []
    app.teardown_request(lambda _: seen.append("torn down"))

    async def source() -> AsyncIterator[Any]:
        try:
            g.name = request.args["name"]
            await asyncio.sleep(0)
            yield g.name
            yield [request.path]
        finally:
            seen.append(f"ended {g.name}")

    served(app, lambda: event_stream(source()))
    text = app.test_client().get("/events?name=Ada").text
    assert [event.data for event in read_events(text).events] == ["Ada", '["/events"]']
    assert seen == ["torn down", "ended Ada", "torn down"]


def test_a_plain_source_sees_the_request_and_its_thread_does_not(app: Dewar) -> None:
    """Between two events whoever sends them is in none."""

    def source() -> Iterator[str]:
        yield request.path
        yield request.path

    served(app, lambda: event_stream(source()))
    answer = app.test_client().get("/events", buffered=False)
    for piece in answer.iter_encoded():
        assert not has_request_context()
        assert piece in (b": open\n\n", b"data: /events\n\n")
    answer.close()


@both
def test_head_is_answered_without_a_stream(app: Dewar, kind: Any) -> None:
    """With the headers of one."""
    begun: list[str] = []

    def watched() -> Iterator[str]:
        begun.append("begun")
        yield "x"

    served(app, lambda: event_stream(kind(watched())))
    answer = app.test_client().head("/events")
    assert (answer.status_code, answer.data, begun) == (200, b"", [])
    assert answer.mimetype == "text/event-stream"


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_plain_source_that_is_left_is_closed(app: Dewar, taken: int) -> None:
    """Also where nobody took anything."""
    cursor = Cursor()
    served(app, lambda: event_stream(cursor))
    answer = app.test_client().get("/events", buffered=False)
    pieces = answer.iter_encoded()
    for _ in range(taken):
        next(pieces)
    answer.close()
    assert cursor.closes >= 1


def test_an_asynchronous_source_that_is_left_is_ended(app: Dewar) -> None:
    """Where it waits; comments came in the meantime."""
    ends: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield "never"
        except asyncio.CancelledError:
            ends.append(request.path)
            raise

    served(app, lambda: event_stream(source, ping=0.001))
    answer = app.test_client().get("/events", buffered=False)
    pieces = answer.iter_encoded()
    assert [next(pieces) for _ in range(3)] == [b": open\n\n", *[KEEP_ALIVE_COMMENT.encode()] * 2]
    answer.close()
    assert ends == ["/events"]


@both
def test_an_error_is_raised_where_it_is_sent(app: Dewar, kind: Any) -> None:
    """After what came before it: the server logs it with the request."""

    def failing() -> Iterator[str]:
        yield "first"
        raise ZeroDivisionError

    async def failing_later() -> AsyncIterator[str]:
        for text in failing():
            yield text

    served(app, lambda: event_stream(failing if kind is plain else failing_later))
    answer = app.test_client().get("/events", buffered=False)
    pieces = answer.iter_encoded()
    assert [next(pieces), next(pieces)] == [b": open\n\n", b"data: first\n\n"]
    with pytest.raises(ZeroDivisionError):
        next(pieces)
    answer.close()


@both
def test_what_can_be_no_event_is_named(app: Dewar, kind: Any) -> None:
    """With what could be yielded instead."""
    served(app, lambda: event_stream(kind([b"x"])))
    answer = app.test_client().get("/events")
    with pytest.raises(
        TypeError, match=r"An event cannot be b'x', of the type bytes\. Yield a str"
    ):
        answer.get_data()


async def coroutine() -> list[str]:
    return ["x"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x", "takes a source of events, and not 'x'"),
        (b"x", "and not b'x'"),
        ({"a": 1}, r"event_stream\(\[event\]\)"),
        (7, "and not 7"),
        (None, "and not None"),
        (coroutine, r"coroutine\(\) is a coroutine.*event_stream\(await coroutine\(\)\)"),
    ],
)
def test_what_yields_no_events_is_refused(app: Dewar, source: Any, said: str) -> None:
    """In the view, where there can still be an answer."""
    with app.test_request_context(), pytest.raises(TypeError, match=said) as caught:
        event_stream(source)
    assert isinstance(caught.value, DewarError)


@pytest.mark.parametrize(
    "options", [{"ping": 0}, {"ping": -1}, {"ping": float("nan")}, {"retry": -1}]
)
def test_options_that_can_not_be_are_refused(app: Dewar, options: dict[str, float]) -> None:
    """By their names."""
    with app.test_request_context(), pytest.raises(ValueError, match=next(iter(options))):
        event_stream([], **options)


def test_outside_of_a_request_it_says_so() -> None:
    """The error names the function."""
    with pytest.raises(RuntimeError, match="'event_stream' was called here"):
        event_stream([])


def test_a_plain_stream_ends_when_the_server_stops(app: Dewar) -> None:
    """Between two events; the teardown functions are told that it did not end by itself."""
    stops = iter([False, False, False, True])
    told: list[Any] = []
    app.teardown_request(told.append)

    def source() -> Iterator[str]:
        while True:
            yield "tick"

    served(app, lambda: event_stream(source()))
    environ = {"dewar.is_draining": lambda: next(stops)}
    answer = app.test_client().get("/events", environ_overrides=environ)
    assert [event.data for event in read_events(answer.data).events] == ["tick", "tick"]
    assert [type(each) for each in told] == [type(None), GeneratorExit]


def test_an_asynchronous_stream_ends_when_the_server_stops(app: Dewar) -> None:
    """Though its source waits for something that never comes."""
    ends: list[str] = []

    async def source() -> AsyncIterator[str]:
        try:
            yield "tick"
            await asyncio.Event().wait()
        finally:
            ends.append(request.path)

    served(app, lambda: event_stream(source()))
    environ = {"dewar.is_draining": lambda: True}
    answer = app.test_client().get("/events", environ_overrides=environ)
    assert [event.data for event in read_events(answer.data).events] == ["tick"]
    assert ends == ["/events"]


def test_a_client_that_connects_again_says_what_it_has(app: Dewar) -> None:
    """And is sent the rest."""

    def events() -> Response:
        last = int(request.headers.get("Last-Event-ID", 0))
        return event_stream(ServerSentEvent(number, id=number) for number in range(last + 1, 4))

    served(app, events)
    client = app.test_client()
    assert read_events(client.get("/events").data).last_id == "3"
    again = client.get("/events", headers={"Last-Event-ID": "2"})
    assert read_events(again.data).events == [Received("message", "3", "3")]


@both
def test_streams_do_not_mix(app: Dewar, kind: Any) -> None:
    """Many at once, each with its own request."""

    async def later() -> AsyncIterator[str]:
        for _ in range(5):
            await asyncio.sleep(0)
            yield request.args["n"]

    def now() -> Iterator[str]:
        for _ in range(5):
            yield request.args["n"]

    served(app, lambda: event_stream(now if kind is plain else later))
    found: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        text = app.test_client().get(f"/events?n={number}").text
        found[number] = [event.data for event in read_events(text).events]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert found == {number: [str(number)] * 5 for number in range(20)}


def test_json_that_can_not_be_written_names_what(app: Dewar) -> None:
    """As in a view that returns it."""
    served(app, lambda: event_stream([ServerSentEvent({"a": object()})]))
    answer = app.test_client().get("/events")
    with pytest.raises(TypeError, match="object"):
        answer.get_data()
