"""Event streams on a real server, over raw sockets."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dewar import Dewar, ServerSentEvent, event_stream, request
from eventtools import read_events
from servertools import Client, Serve

SOON = 20.0
READERS = 60


class Room:
    """Tells all its readers the same, and who has left."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self.told = asyncio.Event()
        self.loop: Any = None

    async def listen(self) -> AsyncIterator[Any]:
        self.loop = asyncio.get_running_loop()
        try:
            yield {"reader": request.args.get("n")}
            self.entered.release()
            await self.told.wait()
            yield ServerSentEvent("bye", event="end")
        finally:
            self.left.release()

    def tell(self) -> None:
        self.loop.call_soon_threadsafe(self.told.set)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def app(room: Room) -> Dewar:
    app = Dewar("events", static_folder=None)
    app.add_url_rule("/room", "room", lambda: event_stream(room.listen, ping=0.01))
    app.add_url_rule("/quiet", "quiet", lambda: event_stream(room.listen, ping=None))

    @app.get("/ticks")
    def ticks() -> Any:
        def source() -> Iterator[str]:
            try:
                room.entered.release()
                while True:
                    yield "tick"
            finally:
                room.left.release()

        return event_stream(source)

    @app.get("/failing")
    async def failing() -> Any:
        async def source() -> AsyncIterator[str]:
            yield "first"
            raise ZeroDivisionError

        return event_stream(source())

    return app


def ask(client: Client, target: str) -> Iterator[bytes]:
    """Ask for a stream and return its pieces as they come."""
    client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert b"text/event-stream" in client._until(b"\r\n\r\n")
    return client.chunks()


def test_events_come_when_they_happen(app: Dewar, room: Room, serve: Serve) -> None:
    """And the connection is good for the next request."""
    client = serve(app).client()
    chunks = ask(client, "/quiet?n=1")
    assert [next(chunks), next(chunks)] == [b": open\n\n", b'data: {"reader": "1"}\n\n']
    assert room.entered.acquire(timeout=SOON)
    room.tell()
    assert list(chunks) == [b"event: end\ndata: bye\n\n"]
    assert client.get("/nowhere")[0].startswith(b"HTTP/1.1 404")


def test_head_is_answered_at_once(app: Dewar, serve: Serve) -> None:
    """Without a body, and the connection goes on."""
    client = serve(app).client()
    status, fields, _ = client.ask(b"HEAD /room HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, fields[b"cache-control"]) == (b"HTTP/1.1 200 OK", b"no-store")
    assert client.get("/nowhere")[0].startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize("target", ["/room", "/ticks"])
def test_a_client_that_leaves_is_noticed(app: Dewar, room: Room, serve: Serve, target: str) -> None:
    """By the next comment or event; the source has come to its end."""
    served = serve(app)
    for _ in range(3):
        client = served.client()
        chunks = ask(client, target)
        assert next(chunks)
        assert room.entered.acquire(timeout=SOON)
        client.close()
        assert room.left.acquire(timeout=SOON)


@pytest.mark.parametrize("target", ["/quiet", "/ticks"])
def test_a_server_that_stops_waits_for_no_event(
    app: Dewar, room: Room, serve: Serve, target: str
) -> None:
    """Streams come to a complete end, well before the server would cut them."""
    served = serve(app, graceful_timeout=60)
    streams = [ask(served.client(), target) for _ in range(3)]
    for chunks in streams:
        next(chunks)
        assert room.entered.acquire(timeout=SOON)
    stopping = threading.Thread(target=served.server.stop, args=(60,))
    began = time.monotonic()
    stopping.start()
    for chunks in streams:
        list(chunks)  # to the last chunk, not to a broken connection
        assert room.left.acquire(timeout=SOON)
    stopping.join(SOON)
    assert not stopping.is_alive()
    assert time.monotonic() - began < SOON


def test_an_error_cuts_the_stream_and_is_logged_with_the_request(
    app: Dewar, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """The client sees that something is missing, and connects again."""
    client = serve(app).client()
    with caplog.at_level(logging.ERROR, "dewar.server"):
        chunks = ask(client, "/failing")
        assert [next(chunks), next(chunks)] == [b": open\n\n", b"data: first\n\n"]
        with pytest.raises(EOFError):
            next(chunks)
    assert "/failing" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_many_listen_at_once(app: Dewar, room: Room, serve: Serve) -> None:
    """Each hears all, and what is its own; there are far fewer threads."""
    served = serve(app, threads=2)
    streams = [ask(served.client(), f"/quiet?n={number}") for number in range(READERS)]
    heads = [(next(chunks), next(chunks)) for chunks in streams]
    for _ in range(READERS):
        assert room.entered.acquire(timeout=SOON)
    room.tell()
    for number, (head, chunks) in enumerate(zip(heads, streams, strict=True)):
        events = read_events([*head, *chunks]).events
        assert [(event.type, event.data) for event in events] == [
            ("message", f'{{"reader": "{number}"}}'),
            ("end", "bye"),
        ]
    for _ in range(READERS):
        assert room.left.acquire(timeout=SOON)
