import asyncio
import json

import pytest

from dewar.server import Server, Settings
from eventtools import read_events
from polling import eventually
from servertools import Client

SOON = 20.0


@pytest.fixture
def seconds(app, monkeypatch):
    """Let each clock go on when the test says."""
    steps = asyncio.Queue()

    async def wait(_):
        await steps.get()

    monkeypatch.setitem(app.config, "WAIT", wait)
    return steps


def ticks(answer):
    """The events of a stream, as they come."""
    for piece in answer.iter_encoded():
        for event in read_events(piece).events:
            yield json.loads(event.data)


def readers(client):
    """How many readers a new one is told of, itself among them."""
    answer = client.get("/api/clock", buffered=False)
    try:
        return next(ticks(answer))["readers"]
    finally:
        answer.close()


def test_the_clock_tells_the_time_and_by_which_thread(client, seconds):
    """As an event, to whoever listens."""
    answer = client.get("/api/clock", buffered=False)
    assert answer.mimetype == "text/event-stream"
    tick = next(ticks(answer))
    assert len(tick["time"]) == len("12:00:00")
    assert tick["thread"] == "dewar-loop"
    answer.close()


def test_the_clock_ticks(client, monkeypatch, app):
    """Again after each wait, which is one of a second."""
    waited = []

    async def wait(time_):
        waited.append(time_)

    monkeypatch.setitem(app.config, "WAIT", wait)
    answer = client.get("/api/clock", buffered=False)
    stream = ticks(answer)
    assert len([next(stream) for _ in range(3)]) == 3
    assert waited[:2] == [1, 1]
    answer.close()


def test_readers_are_counted_until_they_leave(app, client, seconds):
    """Each stream that is open counts, and none that was closed."""
    assert readers(client) == 1
    first, second = (client.get("/api/clock", buffered=False) for _ in range(2))
    assert [next(ticks(first))["readers"], next(ticks(second))["readers"]] == [1, 2]
    assert readers(client) == 3
    first.close()
    assert readers(client) == 2
    second.close()
    assert app.extensions["readers"] == set()


def test_served_a_tab_that_is_closed_is_no_reader(app, seconds):
    """Its connection ends, and its stream with it, before there is anything more to tell."""
    server = Server(app, Settings(bind="127.0.0.1:0", threads=2))
    server.start()
    host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
    clients = [Client((host, int(port))) for _ in range(10)]
    try:
        for client in clients:
            client.send(b"GET /api/clock HTTP/1.1\r\nHost: x\r\n\r\n")
            client._until(b"data: ")
        assert len(app.extensions["readers"]) == 10
        for client in clients[3:]:
            client.close()
        eventually(lambda: len(app.extensions["readers"]) == 3)
    finally:
        for client in clients:
            client.close()
        assert server.stop(SOON)
    assert app.extensions["readers"] == set()
