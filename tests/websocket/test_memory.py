"""What WebSockets take while they wait."""

import asyncio
import gc
import tracemalloc

from dewar.websocket.websocket import WebSocket
from websocket.faketransport import FakeTransport, opened
from websockettools import BINARY, TEXT, deflated, frame

COUNT = 200
#: Of an idle connection, which may take 10 kB with the server's part and the app's.
MOST = 3000
OURS = ("*/dewar/websocket/*", "*/websockets/*")


async def echo(ws: WebSocket) -> None:
    while True:
        await ws.send(await ws.receive())


def bytes_of_ours() -> int:
    """Return how many bytes the protocol and its library have."""
    gc.collect()
    snapshot = tracemalloc.take_snapshot()
    filters = [tracemalloc.Filter(True, pattern) for pattern in OURS]
    return sum(trace.size for trace in snapshot.filter_traces(filters).traces)


def test_an_idle_websocket_is_small() -> None:
    """Also after long messages, compressed and not: no window and no message is kept."""
    content = bytes(range(256)) * 100

    async def work() -> None:
        kept: list[tuple[WebSocket, FakeTransport]] = []
        tasks: list[asyncio.Task[None]] = []

        async def add(count: int) -> None:
            for _ in range(count):
                ws, transport = await opened(extensions="permessage-deflate")
                kept.append((ws, transport))
                tasks.append(asyncio.ensure_future(echo(ws)))
                transport.send(frame(TEXT, deflated(b"a" * 50_000), rsv=4), frame(TEXT, b"short"))
                transport.send(frame(BINARY, content))
                for _ in range(4):
                    await asyncio.sleep(0)
                assert len(transport.frames()) == 3
                transport.taken = b""

        await add(10)
        tracemalloc.start()
        try:
            before = bytes_of_ours()
            await add(COUNT)
            each = (bytes_of_ours() - before) / COUNT
            assert each < MOST
        finally:
            tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(work())
