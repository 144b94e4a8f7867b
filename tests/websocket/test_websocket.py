"""`WebSocket` with the client of the library `websockets`."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.websocket import WebSocket
from websockettools import HttpHead, View


@asynccontextmanager
async def connected(
    view: View, *, settings: WebSocketSettings | None = None, **options: Any
) -> AsyncIterator[tuple[ClientConnection, WebSocket]]:
    """Serve a view, and connect to it; the WebSocket is there when the view has accepted it."""
    served: list[WebSocket] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: HttpHead(view, settings or WebSocketSettings(), served), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    async with server, connect(f"ws://127.0.0.1:{port}/", **options) as client:
        yield client, served[0]


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a test to its end, which comes soon."""
    asyncio.run(asyncio.wait_for(work, 20))


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize(
    "message",
    ["", "a", "é" * 1000, "€" * 20_000, b"", b"\x00\xff", bytes(100_000), bytes(range(256)) * 100],
    ids=repr,
)
def test_messages_come_back_as_they_were(message: str | bytes, compression: str | None) -> None:
    """Texts as str and binary data as bytes, compressed or not."""

    async def work() -> None:
        async with connected(echo, compression=compression) as (client, _):
            await client.send(message)
            assert await client.recv() == message

    run(work())


def test_a_message_in_fragments_is_one_message() -> None:
    """However many there are."""

    async def work() -> None:
        async with connected(echo) as (client, _):
            await client.send(["one, ", "", "two, ", "three"])
            assert await client.recv() == "one, two, three"

    run(work())


def test_a_client_that_closes_ends_the_iteration() -> None:
    """With its code and reason."""

    async def work() -> None:
        async with connected(echo) as (client, ws):
            await client.close(1001, "off")
            assert (ws.close_code, ws.close_reason) == (1001, "off")

    run(work())


def test_a_view_that_raises_closes_with_1011() -> None:
    """And does not tell the client why."""

    async def fail(ws: WebSocket) -> None:
        await ws.receive()
        raise ZeroDivisionError

    async def work() -> None:
        async with connected(fail) as (client, _):
            await client.send("x")
            with pytest.raises(ConnectionClosedError) as caught:
                await client.recv()
            assert caught.value.rcvd is not None
            assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1011, "")

    run(work())
