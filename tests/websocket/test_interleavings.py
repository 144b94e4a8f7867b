"""Whatever a client and a program do, and in which order: some things always hold."""

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dewar.websocket.errors import WebSocketClosedError
from dewar.websocket.state import WebSocketState
from eventtools import VirtualLoop
from websocket.faketransport import FakeTransport, opened
from websockettools import CLOSE, PING, PONG, TEXT, close_frame, frame, server_frames

CLOSE_TIMEOUT = 3.0
Task = asyncio.Future[Any]


class Play:
    """One WebSocket, and what both sides have done."""

    def __init__(self, transport: FakeTransport, ws: Any) -> None:
        self.transport = transport
        self.ws = ws
        self.sent_by_client = 0
        self.received: list[str] = []
        self.receiving: Task | None = None
        self.sending: list[Task] = []
        self.others: list[Task] = []

    # The client.

    def say(self) -> None:
        """Send three messages in one read."""
        texts = [f"{self.sent_by_client + i:03}" for i in range(3)]
        self.give(*(frame(TEXT, text.encode()) for text in texts))
        self.sent_by_client += 3

    def ping(self) -> None:
        self.give(frame(PING, b"p"))

    def close(self) -> None:
        self.give(close_frame(1000))

    def break_rules(self) -> None:
        self.give(frame(3))

    def give(self, *frames: bytes) -> None:
        if not self.transport.is_closed:
            self.transport.send(*frames)

    def stop_taking(self) -> None:
        self.transport.is_taking = False

    def take(self) -> None:
        if not self.transport.is_closed:
            self.transport.take()

    def leave(self) -> None:
        if not self.transport.is_closed:
            self.transport.abort()

    # The program, and the server.

    def receive(self) -> None:
        if self.receiving is None or self.receiving.done():
            self.receiving = asyncio.ensure_future(self.receive_one())
            self.others.append(self.receiving)

    async def receive_one(self) -> None:
        self.received.append(await self.ws.receive())

    def stop_receiving(self) -> None:
        if self.receiving is not None:
            self.receiving.cancel()

    def send(self) -> None:
        number = len(self.sending)
        self.sending.append(asyncio.ensure_future(self.ws.send(f"{number:060}")))

    def stop_sending(self) -> None:
        for task in self.sending:
            if not task.done():
                task.cancel()
                return

    def end(self) -> None:
        self.others.append(asyncio.ensure_future(self.ws.close(4000)))

    def stop_the_server(self) -> None:
        self.transport.going_away()

    # What holds.

    async def check(self) -> None:
        started = asyncio.get_running_loop().time()
        await self.ws.finish(None)
        assert self.ws.state is WebSocketState.CLOSED
        assert asyncio.get_running_loop().time() - started <= CLOSE_TIMEOUT + 0.5
        tasks = [*self.sending, *self.others]
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 1)
        allowed = (type(None), WebSocketClosedError, asyncio.CancelledError)
        assert all(isinstance(result, allowed) for result in results)
        expected = [f"{number:03}" for number in range(self.sent_by_client)]
        assert self.received == expected[: len(self.received)]
        self.check_sent(results[: len(self.sending)])

    def check_sent(self, results: list[Any]) -> None:
        head, _, data = (self.transport.taken + self.transport.waiting).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        frames = server_frames(data)
        numbers = [int(payload) for opcode, payload in frames if opcode == TEXT]
        assert numbers == sorted(set(numbers))
        returned = {number for number, result in enumerate(results) if result is None}
        assert returned <= set(numbers)
        closes = [place for place, (opcode, _) in enumerate(frames) if opcode == CLOSE]
        # After its close frame the server may only answer pings (RFC 6455, section 5.5.1).
        assert len(closes) <= 1
        assert all(opcode == PONG for opcode, _ in frames[closes[0] + 1 :]) if closes else True


CLIENT = [Play.say, Play.say, Play.ping, Play.stop_taking, Play.take]
PROGRAM = [Play.receive, Play.receive, Play.stop_receiving, Play.send, Play.send, Play.stop_sending]
ENDS = [Play.close, Play.break_rules, Play.leave, Play.end, Play.stop_the_server]

steps = st.tuples(st.sampled_from([*CLIENT, *PROGRAM, *CLIENT, *PROGRAM, *ENDS]), st.integers(0, 3))


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=25))
def test_what_always_holds(program: list[tuple[Callable[[Play], None], int]]) -> None:
    """No message is lost, doubled or cut; there is one close frame; nothing waits for ever."""

    async def work() -> None:
        ws, transport = await opened(
            close_timeout=CLOSE_TIMEOUT, send_high_water=150, receive_high_water=300
        )
        play = Play(transport, ws)
        for step, turns in program:
            step(play)
            for _ in range(turns):
                await asyncio.sleep(0)
        await play.check()

    VirtualLoop.play_alone(work)
