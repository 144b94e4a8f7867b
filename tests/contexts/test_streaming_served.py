"""What the teardown functions are told if a client or the server ends a stream."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from dewar import (
    Dewar,
    Response,
    event_stream,
    stream_template_string,
    stream_with_context,
)
from servertools import Served

PIECE = "x" * 10_000


class FullLane(Dewar):
    """An app whose requests take the full lane."""

    def preprocess_request(self) -> Any:
        return super().preprocess_request()


def pieces() -> Iterator[str]:
    while True:
        yield PIECE


async def async_pieces() -> AsyncIterator[str]:
    while True:
        yield PIECE
        await asyncio.sleep(0)


def with_a_context(app: Dewar) -> Iterator[str]:
    with app.test_request_context("/own"):
        yield from pieces()


async def async_view() -> Any:
    return stream_with_context(async_pieces())


async def async_view_of_a_plain_stream() -> Any:
    return stream_with_context(pieces())


VIEWS: dict[str, Callable[[], Any]] = {
    "generator": lambda: stream_with_context(pieces()),
    "decorated": lambda: stream_with_context(pieces)(),
    "response": lambda: Response(stream_with_context(pieces())),
    "asynchronous": lambda: stream_with_context(async_pieces()),
    "template": lambda: stream_template_string("{% for x in xs %}{{ x }}{% endfor %}", xs=pieces()),
    "events": lambda: event_stream(pieces()),
    "asynchronous events": lambda: event_stream(async_pieces()),
    "coroutine": async_view,
    "plain in a coroutine": async_view_of_a_plain_stream,
}


class Streaming:
    """An app with the views, served; and what its teardown functions were told."""

    def __init__(self, cls: type[Dewar]) -> None:
        self.app = cls("streaming", static_folder=None)
        self.told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for name, view in VIEWS.items():
            self.app.add_url_rule(f"/{name.replace(' ', '-')}", name, view)
        self.app.add_url_rule("/own", "own", lambda: Response(with_a_context(self.app)))
        # Not the end of the view.
        self.app.teardown_request(lambda error: error and self.told.put(("request", type(error))))
        self.app.teardown_appcontext(lambda error: error and self.told.put(("app", type(error))))
        self.served = Served(self.app, None, {"threads": 4})

    def begin(self, name: str) -> Any:
        """Have a client read the beginning of a stream."""
        client = self.served.client()
        client.send(f"GET /{name.replace(' ', '-')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        client._until(b"\r\n\r\n")
        for piece in client.chunks():
            if b"x" in piece:  # events have an opening
                break
        return client

    def what_was_told(self) -> list[Any]:
        """Wait for both kinds of teardown functions."""
        return [self.told.get(timeout=20) for _ in range(2)]


@pytest.fixture(params=[Dewar, FullLane])
def streaming(request: pytest.FixtureRequest) -> Iterator[Streaming]:
    made = Streaming(request.param)
    yield made
    made.served.stop()


@pytest.mark.parametrize("name", [*VIEWS, "own"])
@pytest.mark.parametrize("by", ["client", "server"])
def test_a_stream_that_is_cut_off_tells_so(streaming: Streaming, name: str, by: str) -> None:
    """So that a transaction of the stream is rolled back."""
    client = streaming.begin(name)
    if by == "client":
        client.close()
    else:
        streaming.served.server.stop(0.1)
    told = streaming.what_was_told()
    assert [kind for kind, _ in told] == ["request", "app"]
    assert {error for _, error in told} <= {GeneratorExit, asyncio.CancelledError}


@pytest.mark.parametrize("name", VIEWS)
def test_a_stream_that_head_leaves_out_is_not_cut_off(streaming: Streaming, name: str) -> None:
    """Nobody asked for a piece, so the view's end was the end of the request."""
    client = streaming.served.client()
    head = f"HEAD /{name.replace(' ', '-')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    status, _, body = client.ask(head)
    assert (status, body) == (b"HTTP/1.1 200 OK", b"")
    client.close()
    assert streaming.served.server.stop(5)
    assert streaming.told.empty()
