"""The load of WebSockets, and the rows that are made of it."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from bench.macro import websockets
from bench.macro.rounds import Result
from bench.shot import Shot

from bench import websocket_load
from dewar.websocket.frame_protocol import FrameProtocol
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.websocket import WebSocket
from websockettools import HttpHead, View


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def shout(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(str(message).upper())


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server whose loop has a thread of its own."""
    view: View = request.param
    loop = asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        return await loop.create_server(
            lambda: HttpHead(view, WebSocketSettings(close_timeout=1)), "127.0.0.1", 0
        )

    server = loop.run_until_complete(listen())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    asyncio.run_coroutine_threadsafe(stop(server), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def stop(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)


@pytest.mark.parametrize("port", [echo], indirect=True)
def test_echoes_are_counted(port: int) -> None:
    """Of short and long messages."""
    for size in (16, 1000, 70_000):
        assert websocket_load.fire(port, "/", connections=2, size=size, seconds=0.1).rate > 0


@pytest.mark.parametrize("port", [shout], indirect=True)
def test_another_answer_is_no_echo(port: int) -> None:
    """A server that sends something else is not measured."""
    with pytest.raises(ValueError, match="instead of"):
        websocket_load.fire(port, "/", connections=1, size=16, seconds=5)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_the_frames_are_those_of_a_client_and_of_a_server(size: int) -> None:
    """With the same text."""
    sent, expected = websocket_load.frames(size)
    frames = FrameProtocol(2**20)
    assert frames.read(sent, 0) == (len(sent), "a" * size)
    assert frames.text(b"a" * size) == expected


def test_the_baseline_is_uvicorn_with_the_same_library() -> None:
    """A row that failed says why."""
    rates = {"Dewar, 8 threads": 300.0, "uvicorn --ws websockets-sansio": 200.0}
    results = [Result(name=n, shots=[Shot(rate=r, p99_ms=1)]) for n, r in rates.items()]
    results.append(Result(name="uvicorn --ws wsproto", failure="no such module"))
    dewar, uvicorn, wsproto = websockets.rows("echo", results)
    assert (dewar.ratio, dewar.baseline, uvicorn.ratio) == (1.5, [*rates][1], None)
    assert wsproto.is_failed
