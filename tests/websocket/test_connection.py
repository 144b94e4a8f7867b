"""The connection of a WebSocket: its bounds, its order, its times and its end."""

import asyncio
import gc
import weakref
from typing import Any

import pytest

from dewar.websocket.errors import (
    WebSocketClosedError,
    WebSocketStateError,
    WebSocketTypeError,
    WebSocketValueError,
)  # fmt: skip
from dewar.websocket.state import WebSocketState
from eventtools import VirtualLoop
from websocket.faketransport import opened
from websockettools import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_frame,
    deflated,
    frame,
    server_frames,
)  # fmt: skip

NEVER = {"ping_interval": None}
play = VirtualLoop.play_alone


async def turns(count: int = 5) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


# Receiving.


def test_a_fast_client_is_read_no_further_than_the_high_water_mark() -> None:
    """It is read on when the program has taken half of what waits; nothing is lost."""

    async def work() -> None:
        ws, transport = await opened(receive_high_water=1000)
        messages = [b"%05d" % i for i in range(500)]
        transport.send(*(frame(BINARY, message) for message in messages))
        assert not transport.is_reading
        queue = ws._connection.queue  # type: ignore[union-attr]
        received = []
        while len(received) < len(messages):
            assert queue._size < 1000 + 100
            received.append(await ws.receive())
        assert received == messages
        await turns()
        assert transport.is_reading

    play(work)


def test_empty_messages_fill_the_queue_too() -> None:
    """A message takes memory besides its content."""

    async def work() -> None:
        ws, transport = await opened(receive_high_water=10_000)
        transport.send(frame(TEXT) * 100_000)
        assert not transport.is_reading
        queue = ws._connection.queue  # type: ignore[union-attr]
        assert len(queue._rest or ()) < 1000

    play(work)


def test_a_bomb_of_many_messages_inflates_only_up_to_the_mark() -> None:
    """One read could inflate to a gigabyte; what does not fit stays compressed."""

    async def work() -> None:
        ws, transport = await opened(extensions="permessage-deflate", receive_high_water=2**20)
        bomb = frame(BINARY, deflated(bytes(2**20)), rsv=4)
        transport.send(bomb * 60)
        connection = ws._connection
        assert connection is not None
        for _ in range(60):
            assert connection.queue._size < 2**22
            assert await ws.receive() == bytes(2**20)
            await turns(2)

    play(work)


def test_a_program_that_waits_gets_the_messages_behind_a_full_queue() -> None:
    """The reading goes on in another turn of the loop, so that other tasks have theirs."""

    async def work() -> None:
        ws, transport = await opened(receive_high_water=200)
        transport.send(frame(TEXT, b"x") * 1000)
        others = 0

        async def other() -> None:
            nonlocal others
            while True:
                await asyncio.sleep(0)
                others += 1

        task = asyncio.ensure_future(other())
        for _ in range(1000):
            await ws.receive()
        assert others > 100
        task.cancel()

    play(work)


@pytest.mark.parametrize("is_closing", [False, True], ids=["open", "closing"])
@pytest.mark.parametrize(
    "flood",
    [
        frame(PING) * 20_000,
        frame(TEXT, b"x", fin=False) + frame(CONTINUATION, fin=False) * 20_000,
        frame(BINARY, deflated(bytes(2**20)), rsv=4) * 40,
    ],
    ids=["pings", "fragments", "bombs"],
)
def test_a_flood_leaves_other_tasks_their_turns(flood: bytes, is_closing: bool) -> None:
    """Although nothing of it fills the queue, or the WebSocket is closing; then it is all read."""

    async def work() -> None:
        ws, transport = await opened(extensions="permessage-deflate", receive_high_water=2**30)
        closing = asyncio.ensure_future(ws.close() if is_closing else asyncio.sleep(0))
        await turns(1)
        transport.send(flood, close_frame())
        count = 0
        while ws.state is not WebSocketState.CLOSED:
            await asyncio.sleep(0)
            count += 1
        assert 30 < count < 200
        await closing
        assert now() == 0

    play(work)


def test_a_cancelled_receive_loses_no_message() -> None:
    """Also if the message has come just before."""

    async def work() -> None:
        ws, transport = await opened()
        for moment in range(3):
            receiving = asyncio.ensure_future(ws.receive())
            await turns(1)
            if moment == 0:
                receiving.cancel()
            transport.send(frame(TEXT, b"%d" % moment))
            if moment == 1:
                receiving.cancel()
            if moment == 2:
                await turns()
                receiving.cancel()
            result = (await asyncio.gather(receiving, return_exceptions=True))[0]
            if isinstance(result, asyncio.CancelledError):
                result = await ws.receive()
            assert result == str(moment)

    play(work)


def test_two_tasks_cannot_receive_at_the_same_time() -> None:
    """The second is told so, and the first goes on."""

    async def work() -> None:
        ws, transport = await opened()
        first = asyncio.ensure_future(ws.receive())
        await turns(1)
        with pytest.raises(WebSocketStateError, match="Another task already waits"):
            await ws.receive()
        transport.send(frame(TEXT, b"x"))
        assert await first == "x"
        transport.send(frame(TEXT, b"y"))
        assert await ws.receive() == "y"

    play(work)


def test_messages_before_the_close_are_received_before_the_error() -> None:
    """The error has the code and the reason, each time."""

    async def work() -> None:
        ws, transport = await opened()
        transport.send(frame(TEXT, b"a"), frame(TEXT, b"b"), close_frame(4001, b"off"))
        assert [await ws.receive(), await ws.receive()] == ["a", "b"]
        for _ in range(2):
            with pytest.raises(WebSocketClosedError) as caught:
                await ws.receive()
            assert (caught.value.code, caught.value.reason) == (4001, "off")

    play(work)


@pytest.mark.parametrize("code", [1000, 1001, None])
def test_the_iteration_ends_at_a_normal_close(code: int | None) -> None:
    """With 1000, 1001 or no code at all."""

    async def work() -> None:
        ws, transport = await opened()
        transport.send(frame(TEXT, b"a"), close_frame(code))
        assert [message async for message in ws] == ["a"]
        assert ws.close_code == (code or 1005)

    play(work)


@pytest.mark.parametrize("code", [1002, 1011, 4000])
def test_the_iteration_raises_at_any_other_close(code: int) -> None:
    """A program that does not expect it learns of it."""

    async def work() -> None:
        ws, transport = await opened()
        transport.send(close_frame(code))
        with pytest.raises(WebSocketClosedError):
            await anext(ws)

    play(work)


def test_the_iteration_ends_if_the_program_closes() -> None:
    """With whatever code, in another task."""

    async def work() -> None:
        ws, transport = await opened()
        iterating = asyncio.ensure_future(anext(ws, "the end"))
        await turns(1)
        closing = asyncio.ensure_future(ws.close(4001))
        await turns(1)
        transport.send(close_frame(4001))
        await closing
        assert await iterating == "the end"

    play(work)


# Sending.


def test_a_slow_client_lets_senders_wait() -> None:
    """No more waits in memory than the high-water mark and one message."""

    async def work() -> None:
        ws, transport = await opened(send_high_water=1000)
        transport.is_taking = False

        async def send_all() -> None:
            for _ in range(100):
                await ws.send(bytes(300))

        sending = asyncio.ensure_future(send_all())
        await turns(50)
        assert len(transport.waiting) < 1000 + 304 + 1
        transport.take()
        await sending
        assert transport.frames() == [(BINARY, bytes(300))] * 100

    play(work)


def test_senders_send_in_the_order_of_their_calls() -> None:
    """Also those that come when the client takes again, before the others have their turn."""

    async def work() -> None:
        ws, transport = await opened(send_high_water=100)
        transport.is_taking = False
        await ws.send(bytes(200))
        first = [asyncio.ensure_future(ws.send(str(i))) for i in range(5)]
        await turns()
        assert not any(task.done() for task in first)
        transport.take()
        later = [asyncio.ensure_future(ws.send(str(i))) for i in range(5, 10)]
        await asyncio.gather(*first, *later)
        assert transport.frames()[1:] == [(TEXT, b"%d" % i) for i in range(10)]

    play(work)


@pytest.mark.parametrize("cancelled", range(3))
def test_a_cancelled_send_sends_nothing_and_stops_nobody(cancelled: int) -> None:
    """Whoever it is of those that wait; also if its turn has come."""

    async def work(is_late: bool) -> None:
        ws, transport = await opened(send_high_water=100)
        transport.is_taking = False
        await ws.send(bytes(200))
        tasks = [asyncio.ensure_future(ws.send(str(i))) for i in range(3)]
        await turns()
        if is_late:
            transport.take()
        tasks[cancelled].cancel()
        transport.take()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[cancelled], asyncio.CancelledError)
        left = [(TEXT, b"%d" % i) for i in range(3) if i != cancelled]
        assert transport.frames()[1:] == left
        await ws.send("more")

    play(lambda: work(is_late=False))
    play(lambda: work(is_late=True))


def test_cancelled_sends_do_not_fill_the_memory() -> None:
    """A program that gives up on a slow client again and again keeps nothing of it."""

    async def work() -> None:
        ws, transport = await opened(send_high_water=100)
        transport.is_taking = False
        await ws.send(bytes(200))
        before = len(transport.waiting)
        for _ in range(10):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ws.send(bytes(1000)), 1)
        assert len(transport.waiting) == before

    play(work)


def test_a_program_that_only_sends_leaves_other_tasks_their_turns() -> None:
    """However much the client takes at once."""

    async def work() -> None:
        ws, transport = await opened()

        async def send_on() -> None:
            while True:
                await ws.send("x")

        sending = asyncio.ensure_future(send_on())
        for _ in range(3):
            transport.taken = b""
            await turns(1)
        assert 1000 < len(server_frames(transport.taken)) < 5000
        sending.cancel()

    play(work)


def test_a_program_that_only_sends_learns_that_the_client_has_gone() -> None:
    """Although a transport that is closed waits for nothing."""

    async def work() -> None:
        ws, transport = await opened()
        transport.abort()
        with pytest.raises(WebSocketClosedError):
            await ws.send("x")

    play(work)


def test_sending_after_the_close_raises_an_error() -> None:
    """With the client's code; those that wait are told as well."""

    async def work() -> None:
        ws, transport = await opened(send_high_water=100)
        transport.is_taking = False
        await ws.send(bytes(200))
        waiting = [asyncio.ensure_future(ws.send("x")) for _ in range(3)]
        await turns()
        transport.send(close_frame(4002, b"bye"))
        for sending in (*waiting, ws.send("late")):
            with pytest.raises(WebSocketClosedError) as caught:
                await sending
            assert (caught.value.code, caught.value.reason) == (4002, "bye")

    play(work)


@pytest.mark.parametrize("message", [None, 1, ["a"], {"a": 1}])
def test_other_messages_are_refused(message: object) -> None:
    """The error shows how to send JSON; the WebSocket stays open."""

    async def work() -> None:
        ws, transport = await opened()
        with pytest.raises(WebSocketTypeError, match="send_json"):
            await ws.send(message)  # type: ignore[arg-type]
        await ws.send_json(message)
        assert len(transport.frames()) == 1

    play(work)


@pytest.mark.parametrize(
    "message",
    [
        bytearray(b"abcdefgh"),
        memoryview(b"abcdefgh"),
        memoryview(b"a-b-c-d-e-f-g-h-")[::2],
        memoryview(b"abcdefgh").cast("I"),
    ],
    ids=["bytearray", "view", "every other byte", "items of four bytes"],
)
def test_any_bytes_are_sent_as_binary_data(message: bytearray | memoryview) -> None:
    """Whatever their items are."""

    async def work() -> None:
        ws, transport = await opened()
        await ws.send(message)
        assert transport.frames() == [(BINARY, b"abcdefgh")]

    play(work)


def test_a_text_that_is_no_unicode_is_not_sent() -> None:
    """Half a pair of surrogates has no UTF-8; the WebSocket stays open."""

    async def work() -> None:
        ws, transport = await opened()
        with pytest.raises(UnicodeEncodeError):
            await ws.send("a\ud800")
        await ws.send("b")
        assert transport.frames() == [(TEXT, b"b")]

    play(work)


def test_a_flood_of_pings_leaves_one_pong() -> None:
    """If the client does not take what is sent, the last ping is the one to be answered."""

    async def work() -> None:
        ws, transport = await opened(send_high_water=100, **NEVER)
        transport.is_taking = False
        await ws.send(bytes(200))
        before = len(transport.waiting)
        transport.send(*(frame(PING, b"%d" % i) for i in range(1000)))
        await turns(10)
        assert len(transport.waiting) == before
        transport.take()
        assert transport.frames()[1:] == [(PONG, b"999")]

    play(work)


# Times.


def now() -> float:
    return asyncio.get_running_loop().time()


def test_pings_are_sent_and_a_silent_client_is_lost() -> None:
    """The first after the interval; without an answer the WebSocket is closed with 1011."""

    async def work() -> None:
        ws, transport = await opened(ping_interval=20, ping_timeout=10)
        with pytest.raises(WebSocketClosedError) as caught:
            await ws.receive()
        assert caught.value.code == 1011
        assert now() == pytest.approx(30, abs=0.5)
        assert [opcode for opcode, _ in transport.frames()] == [PING, CLOSE]
        await ws.finish(caught.value)
        assert now() < 41
        assert ws.state is WebSocketState.CLOSED

    play(work)


def test_a_client_that_answers_is_kept() -> None:
    """For as long as it does, without any message."""

    async def work() -> None:
        ws, transport = await opened(ping_interval=20, ping_timeout=10)
        receiving = asyncio.ensure_future(ws.receive())
        for round_ in range(1, 20):
            await asyncio.sleep(20.5)
            assert [opcode for opcode, _ in transport.frames()] == [PING] * round_
            transport.send(frame(PONG))
        assert not receiving.done()
        receiving.cancel()

    play(work)


def test_a_slow_program_does_not_lose_its_client() -> None:
    """The answer to a ping may be behind messages that are not read yet."""

    async def work() -> None:
        ws, transport = await opened(ping_interval=20, ping_timeout=10, receive_high_water=100)
        transport.send(frame(TEXT, bytes(60)) * 10)
        assert not transport.is_reading
        await asyncio.sleep(1000)
        assert ws.state is WebSocketState.OPEN

    play(work)


def test_a_client_that_takes_nothing_is_lost_though_it_sends() -> None:
    """A sender does not wait for ever."""

    async def work() -> None:
        ws, transport = await opened(ping_interval=20, ping_timeout=20, send_high_water=100)
        transport.is_taking = False
        await ws.send(bytes(200))
        sending = asyncio.ensure_future(ws.send("x"))
        for _ in range(20):
            await asyncio.sleep(5)
            if not sending.done():
                transport.send(frame(PONG))
        with pytest.raises(WebSocketClosedError):
            await sending
        await ws.finish(None)
        assert transport.was_aborted

    play(work)


@pytest.mark.parametrize("side", ["client", "server", "nobody"])
def test_an_idle_websocket_is_closed(side: str) -> None:
    """With 1001, after the time without a message in either direction."""

    async def work() -> None:
        ws, transport = await opened(idle_timeout=30, **NEVER)
        await asyncio.sleep(25)
        if side == "client":
            transport.send(frame(TEXT, b"x"))
            await ws.receive()
        if side == "server":
            await ws.send("x")
        with pytest.raises(WebSocketClosedError) as caught:
            await ws.receive()
        assert caught.value.code == 1001
        assert now() == pytest.approx(30 if side == "nobody" else 55, abs=0.5)

    play(work)


def test_pongs_do_not_keep_an_idle_websocket() -> None:
    """They come by themselves."""

    async def work() -> None:
        ws, transport = await opened(idle_timeout=30, ping_interval=5, ping_timeout=5)
        receiving = asyncio.ensure_future(ws.receive())
        while not receiving.done():
            await asyncio.sleep(1)
            transport.send(frame(PONG))
        assert now() == pytest.approx(30, abs=1.5)
        assert isinstance(receiving.exception(), WebSocketClosedError)

    play(work)


def test_without_times_there_is_no_timer() -> None:
    """An open WebSocket costs nothing then."""

    async def work() -> None:
        ws, transport = await opened(ping_interval=None, ping_timeout=None)
        loop = asyncio.get_running_loop()
        assert not loop._scheduled  # type: ignore[attr-defined]
        transport.send(close_frame())
        await ws.finish(None)

    play(work)


# The end.


def test_the_client_closes_first() -> None:
    """Its code comes back, and the connection is closed at once."""

    async def work() -> None:
        ws, transport = await opened()
        transport.send(close_frame(4000, b"why"))
        assert transport.is_closed
        assert transport.frames() == [(CLOSE, (4000).to_bytes(2) + b"why")]
        await turns()
        assert (ws.state, ws.close_code, ws.close_reason) == (WebSocketState.CLOSED, 4000, "why")

    play(work)


def test_the_program_closes_first() -> None:
    """The connection stays until the client has answered; messages before that are dropped."""

    async def work() -> None:
        ws, transport = await opened()
        closing = asyncio.ensure_future(ws.close(4000, "why"))
        await turns()
        assert ws.state is WebSocketState.CLOSING
        transport.send(frame(TEXT, b"late"), frame(PING, b"p"))
        assert not transport.is_closed
        assert not closing.done()
        transport.send(close_frame(4000))
        await closing
        assert transport.frames()[0] == (CLOSE, (4000).to_bytes(2) + b"why")
        assert len(transport.frames()) == 1 + 1
        assert (ws.state, ws.close_code) == (WebSocketState.CLOSED, 4000)

    play(work)


def test_both_close_at_the_same_time() -> None:
    """Each sends one close frame, and nobody another one."""

    async def work() -> None:
        ws, transport = await opened()
        closing = asyncio.ensure_future(ws.close(4000))
        transport.send(frame(TEXT, b"x"))
        await turns(1)
        transport.send(close_frame(4001))
        await closing
        assert transport.frames() == [(CLOSE, (4000).to_bytes(2))]
        assert ws.close_code == 4000

    play(work)


def test_a_client_that_does_not_answer_a_close_is_cut_off() -> None:
    """After the close timeout."""

    async def work() -> None:
        ws, transport = await opened(close_timeout=3)
        await ws.close()
        assert now() == pytest.approx(3, abs=0.5)
        assert transport.was_aborted

    play(work)


def test_a_close_behind_a_full_queue_is_found() -> None:
    """What the program has not received is dropped when it closes."""

    async def work() -> None:
        ws, transport = await opened(receive_high_water=100)
        transport.send(frame(TEXT, bytes(60)) * 10, close_frame())
        await ws.close()
        assert now() == 0
        assert ws.state is WebSocketState.CLOSED

    play(work)


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "ended"])
def test_a_lost_connection_has_code_1006(is_lost: bool) -> None:
    """Whoever waits is told, and whoever asks later."""

    async def work() -> None:
        ws, transport = await opened()
        receiving = asyncio.ensure_future(ws.receive())
        await turns()
        if is_lost:
            transport.lose()
        else:
            assert not transport.protocol.eof_received()
            transport.close()
        for call in (receiving, ws.receive(), ws.send("x")):
            with pytest.raises(WebSocketClosedError) as caught:
                await call
            assert caught.value.code == 1006
        await ws.close()
        await ws.finish(None)
        assert (ws.state, ws.close_code) == (WebSocketState.CLOSED, 1006)

    play(work)


@pytest.mark.parametrize("has_eof", [True, False])
def test_a_fault_closes_so_that_the_client_can_read_why(has_eof: bool) -> None:
    """The server ends its side, and cuts the connection if the client does not leave."""

    async def work() -> None:
        ws, transport = await opened(has_eof=has_eof, close_timeout=3)
        transport.send(frame(TEXT, b"a"), frame(3), frame(TEXT, b"b"))
        transport.send(frame(TEXT, b"c"))
        assert transport.has_ended == has_eof
        assert transport.is_closed == (not has_eof)
        assert [message[0] for message in transport.frames()] == [CLOSE]
        assert await ws.receive() == "a"
        with pytest.raises(WebSocketClosedError) as caught:
            await ws.receive()
        assert caught.value.code == 1002
        await ws.finish(caught.value)
        assert now() <= 3.5
        assert transport.is_closed

    play(work)


def test_the_server_stops() -> None:
    """The client is told with 1001; what has come before is still received."""

    async def work() -> None:
        ws, transport = await opened()
        transport.send(frame(TEXT, b"a"))
        transport.going_away()
        transport.going_away()
        assert transport.frames() == [(CLOSE, (1001).to_bytes(2))]
        transport.send(close_frame(1001))
        assert [message async for message in ws] == ["a"]
        await ws.finish(None)
        assert ws.close_code == 1001

    play(work)


@pytest.mark.parametrize(
    ("error", "code"),
    [(None, 1000), (ValueError(), 1011), (SystemExit(), 1011), (asyncio.CancelledError(), 1001)],
    ids=repr,
)
def test_what_a_program_leaves_open_is_closed(error: BaseException | None, code: int) -> None:
    """With a code that says whether it has failed."""

    async def work() -> None:
        ws, transport = await opened()
        finishing = asyncio.ensure_future(ws.finish(error))
        await turns()
        transport.send(close_frame(code))
        await finishing
        assert transport.frames() == [(CLOSE, code.to_bytes(2))]

    play(work)


def test_finishing_raises_nothing_when_it_is_cancelled() -> None:
    """The connection is cut then."""

    async def work() -> None:
        ws, transport = await opened()
        finishing = asyncio.ensure_future(ws.finish(None))
        await turns()
        finishing.cancel()
        await finishing
        assert transport.was_aborted

    play(work)


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 2000, 5000, "1000", "bye", None])
def test_a_code_that_cannot_be_sent_is_refused(code: Any) -> None:
    """The WebSocket stays open."""

    async def work() -> None:
        ws, _ = await opened()
        with pytest.raises(WebSocketValueError, match="4000"):
            await ws.close(code)
        with pytest.raises(WebSocketValueError, match="no text"):
            await ws.close(1000, None)  # type: ignore[arg-type]  # a mistake
        with pytest.raises(WebSocketValueError, match="123 bytes"):
            await ws.close(1000, "é" * 62)
        assert ws.state is WebSocketState.OPEN

    play(work)


@pytest.mark.parametrize(
    "last",
    [
        close_frame(),
        frame(TEXT, b"x", fin=False) + close_frame(),
        frame(3),
        frame(TEXT, b"\xff"),
        close_frame(1006),
    ],
    ids=repr,
)
def test_a_closed_websocket_is_freed_without_the_garbage_collector(last: bytes) -> None:
    """A server with many that come and go would collect garbage all the time."""

    async def work() -> None:
        ws, transport = await opened(extensions="permessage-deflate")
        connection = ws._connection
        assert connection is not None
        kept = [weakref.ref(ws), weakref.ref(connection._frames._protocol)]
        transport.send(last)
        await ws.finish(None)
        del ws, connection, transport.protocol, transport.going_away
        await turns()
        assert [ref() for ref in kept] == [None, None]

    gc.disable()
    try:
        play(work)
    finally:
        gc.enable()
