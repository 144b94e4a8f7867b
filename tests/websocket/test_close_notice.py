"""A program that does not learn that its WebSocket is closed is cancelled."""

import asyncio
from typing import Any

import pytest

from dewar.websocket.close_notice import TRANSITIONS, CloseNotice, NoticeState
from dewar.websocket.errors import WebSocketClosedError
from dewar.websocket.receive_queue import ReceiveQueue
from dewar.websocket.websocket import WebSocket
from eventtools import VirtualLoop
from websocket.faketransport import FakeTransport, opened
from websockettools import TEXT, close_frame, frame

NEVER = {"ping_interval": None}


class Program:
    """A view with a WebSocket, on a clock of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ws: WebSocket
        self.transport: FakeTransport
        self.was_cancelled_alone = False
        self.ended_at: float | None = None

    def start(self, view: Any) -> "asyncio.Task[None]":
        """Run a view as the pipeline does."""
        return asyncio.ensure_future(self._run(view))

    async def _run(self, view: Any) -> None:
        task = asyncio.current_task()
        self.ws, self.transport = await opened(task=task, close_timeout=4.0, **NEVER)
        try:
            await view(self.ws)
        except asyncio.CancelledError:
            self.was_cancelled_alone = self.ws.note_end()
        finally:
            self.ended_at = self.loop.time()


@pytest.fixture
def loop() -> Any:
    """A loop whose clock stands still while anything runs."""
    loop = VirtualLoop()
    yield loop
    loop.close()
    assert loop.complaints == []


async def idle(_: WebSocket) -> None:
    """Wait for something else, for ever."""
    await asyncio.Event().wait()


ENDS = {
    "a close frame": lambda transport: transport.send(close_frame(1000)),
    "a lost connection": lambda transport: transport.lose(),
    "a broken frame": lambda transport: transport.send(b"\xff\xff"),
    "the server stops": lambda transport: transport.going_away(),
}


@pytest.mark.parametrize("end", ENDS)
def test_who_makes_no_call_is_cancelled_after_the_close_timeout(
    loop: VirtualLoop, end: str
) -> None:
    """However the WebSocket has ended; the cancellation is the only one."""

    async def work() -> None:
        program = Program(loop)
        task = program.start(idle)
        await asyncio.sleep(1)
        began = loop.time()
        ENDS[end](program.transport)
        await task
        assert program.ended_at == began + 4.0
        assert program.was_cancelled_alone
        assert task.cancelling() == 0

    loop.play(work())


async def receives(ws: WebSocket) -> None:
    with pytest.raises(WebSocketClosedError):
        await ws.receive()


async def iterates(ws: WebSocket) -> None:
    async for _ in ws:
        raise AssertionError


async def sends(ws: WebSocket) -> None:
    await asyncio.sleep(3)
    with pytest.raises(WebSocketClosedError):
        await ws.send("late")


async def closes(ws: WebSocket) -> None:
    await asyncio.sleep(3)
    await ws.close()


@pytest.mark.parametrize("view", [receives, iterates, sends, closes])
def test_who_knows_is_not(loop: VirtualLoop, view: Any) -> None:
    """It may clean up for as long as it takes."""

    async def work() -> None:
        async def cleans_up(ws: WebSocket) -> None:
            await view(ws)
            await asyncio.sleep(100)

        program = Program(loop)
        task = program.start(cleans_up)
        await asyncio.sleep(1)
        program.transport.going_away()
        await task
        assert not program.was_cancelled_alone
        assert (program.ended_at or 0) >= 100

    loop.play(work())


def test_who_receives_what_came_before_the_end_has_time_for_each_message(
    loop: VirtualLoop,
) -> None:
    """Nothing that was received is lost because the client has left."""

    async def work() -> None:
        received = []

        async def slow(ws: WebSocket) -> None:
            async for message in ws:
                received.append(message)
                await asyncio.sleep(3)

        program = Program(loop)
        task = program.start(slow)
        await asyncio.sleep(1)
        program.transport.send(*(frame(TEXT, b"%d" % number) for number in range(20)))
        program.transport.send(close_frame(1000))
        await task
        assert received == [str(number) for number in range(20)]
        assert not program.was_cancelled_alone

    loop.play(work())


@pytest.mark.parametrize("is_both", [False, True])
def test_a_cancellation_by_others_stays_one(loop: VirtualLoop, is_both: bool) -> None:
    """Whoever else has cancelled the task waits for its end."""

    async def work() -> None:
        program = Program(loop)
        task = program.start(idle)
        await asyncio.sleep(1)
        program.transport.lose()
        if is_both:
            loop.call_later(4.0, task.cancel)
        else:
            task.cancel()
        await task
        assert not program.was_cancelled_alone
        assert task.cancelling() == 1

    loop.play(work())


def test_a_program_that_has_ended_is_not_kept(loop: VirtualLoop) -> None:
    """Its timer does not hold its task, nor cancel it while it closes."""

    async def work() -> None:
        task = asyncio.current_task()
        notice = CloseNotice(task)
        notice.begin(loop, 4.0, ReceiveQueue(loop, 100, lambda: None))
        notice.tell()
        assert not notice.take_cancellation()
        assert notice._task is None
        await asyncio.sleep(10)

    loop.play(work())


def test_each_state_can_be_reached() -> None:
    """And the last two are ends."""
    reached = set().union(*TRANSITIONS.values())
    assert reached == set(NoticeState) - {NoticeState.OPEN}
    assert set(TRANSITIONS) == set(NoticeState)
