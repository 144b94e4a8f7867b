"""Answering the handshake: once, whatever happens around it."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dewar.websocket.errors import (
    HandshakeError,
    WebSocketClosedError,
    WebSocketLibraryError,
    WebSocketLoopError,
    WebSocketStateError,
    WebSocketValueError,
)
from dewar.websocket.library import check_library
from dewar.websocket.opening_handshake import OpeningHandshake
from dewar.websocket.settings import WebSocketSettings
from dewar.websocket.state import WebSocketState
from dewar.websocket.websocket import WebSocket
from websocket.faketransport import KEY, FakeTransport
from websockettools import frame, no_headers

Headers = Callable[[], Awaitable[list[tuple[str, str]]]]


def connecting(before_accept: Headers = no_headers) -> tuple[WebSocket, FakeTransport]:
    """Return a WebSocket that is not accepted, and its transport."""
    transport = FakeTransport()
    handshake = OpeningHandshake(KEY, ("chat", "superchat"))
    ws = WebSocket(handshake, transport.upgrade, WebSocketSettings(), before_accept)
    return ws, transport


def head_of(transport: FakeTransport) -> list[str]:
    return transport.taken.partition(b"\r\n\r\n")[0].decode().split("\r\n")


def test_the_response_has_the_fields_of_the_program_and_of_the_app() -> None:
    """And the subprotocol that was chosen."""

    async def cookies() -> list[tuple[str, str]]:
        return [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]

    async def work() -> None:
        ws, transport = connecting(cookies)
        assert ws.subprotocols == ("chat", "superchat")
        assert (ws.state, ws.is_accepted) == (WebSocketState.CONNECTING, False)
        await ws.accept("superchat", headers=[("X-A", "x")])
        assert head_of(transport)[-4:] == [
            "Sec-WebSocket-Protocol: superchat", "X-A: x", "Set-Cookie: a=1", "Set-Cookie: b=2",
        ]  # fmt: skip
        assert (ws.state, ws.is_accepted, ws.subprotocol) == (
            WebSocketState.OPEN,
            True,
            "superchat",
        )

    asyncio.run(work())


def test_tasks_that_begin_together_open_it_once() -> None:
    """Some receive, some send, and the app takes a moment for its header fields."""
    calls = 0

    async def slow() -> list[tuple[str, str]]:
        nonlocal calls
        calls += 1
        for _ in range(5):
            await asyncio.sleep(0)
        return []

    async def work() -> None:
        ws, transport = connecting(slow)
        receiving = asyncio.ensure_future(ws.receive())
        sending = [asyncio.ensure_future(ws.send(str(i))) for i in range(3)]
        await asyncio.gather(*sending)
        transport.send(frame(1, b"x"))
        assert await receiving == "x"
        assert transport.taken.count(b"HTTP/1.1 101") == calls == 1
        assert [payload for _, payload in transport.frames()] == [b"0", b"1", b"2"]

    asyncio.run(work())


def test_a_second_accept_is_refused() -> None:
    """Also while the first is not done, and after a receive that has accepted."""

    async def work() -> None:
        ws, _ = connecting()
        first = asyncio.ensure_future(ws.accept())
        await asyncio.sleep(0)
        with pytest.raises(WebSocketStateError, match="accepted already"):
            await ws.accept()
        await first
        with pytest.raises(WebSocketStateError, match="before the first receive"):
            await ws.accept()

    asyncio.run(work())


def test_a_mistake_of_the_program_can_be_made_good() -> None:
    """Nothing is sent, and the app is not asked for its fields."""
    asked: list[bool] = []

    async def fields() -> list[tuple[str, str]]:
        asked.append(True)
        return []

    async def work() -> None:
        ws, transport = connecting(fields)
        for wrong in ({"subprotocol": "soap"}, {"headers": [("Upgrade", "h2c")]}):
            with pytest.raises(WebSocketValueError):
                await ws.accept(**wrong)  # type: ignore[arg-type]
        assert (transport.taken, asked, ws.is_accepted) == (b"", [], False)
        await ws.accept("chat")
        assert ws.is_accepted

    asyncio.run(work())


def test_an_error_of_the_app_leaves_it_unaccepted() -> None:
    """So it can be answered with HTTP."""

    async def fail() -> list[tuple[str, str]]:
        raise ZeroDivisionError

    async def work() -> None:
        ws, transport = connecting(fail)
        with pytest.raises(ZeroDivisionError):
            await ws.receive()
        await ws.finish(ZeroDivisionError())
        assert (transport.taken, ws.is_accepted) == (b"", False)

    asyncio.run(work())


def test_what_is_not_accepted_cannot_be_closed() -> None:
    """The error says how to refuse it."""

    async def work() -> None:
        ws, _ = connecting()
        with pytest.raises(WebSocketStateError, match=r"abort\(403\)"):
            await ws.close()

    asyncio.run(work())


def test_a_client_that_leaves_before_the_answer_is_gone() -> None:
    """The program learns it when it receives."""

    async def work() -> None:
        transport = FakeTransport()

        async def upgrade(protocol: asyncio.Protocol, _: object) -> asyncio.Transport:
            transport.protocol = protocol
            protocol.data_received(frame(1, b"x"))
            transport.lose()
            return transport

        ws = WebSocket(OpeningHandshake(KEY), upgrade, WebSocketSettings(), no_headers)
        with pytest.raises(WebSocketClosedError) as caught:
            await ws.receive()
        assert (caught.value.code, ws.state) == (1006, WebSocketState.CLOSED)
        await ws.finish(caught.value)

    asyncio.run(work())


def test_what_comes_while_it_is_opened_is_read_afterwards() -> None:
    """A client may not wait for the answer; its pong must not come before that."""

    async def work() -> None:
        transport = FakeTransport()

        async def upgrade(protocol: asyncio.Protocol, _: object) -> asyncio.Transport:
            transport.protocol = protocol
            transport.send(frame(9, b"p"), frame(1, b"x")[:3])
            transport.send(frame(1, b"x")[3:])
            return transport

        ws = WebSocket(OpeningHandshake(KEY), upgrade, WebSocketSettings(), no_headers)
        assert await ws.receive() == "x"
        assert transport.taken.startswith(b"HTTP/1.1 101")
        assert transport.frames() == [(10, b"p")]

    asyncio.run(work())


def test_another_event_loop_is_told_how_to_call() -> None:
    """A thread with a loop of its own would break what belongs to the loop of the WebSocket."""

    async def open_one() -> tuple[WebSocket, FakeTransport]:
        ws, transport = connecting()
        await ws.accept()
        return ws, transport

    with asyncio.Runner() as runner, asyncio.Runner() as other:
        ws, transport = runner.run(open_one())
        for call in (ws.send("x"), ws.receive()):
            with pytest.raises(WebSocketLoopError, match="run_coroutine_threadsafe"):
                other.run(call)
        assert transport.frames() == []


def test_json_goes_both_ways() -> None:
    """With the functions of the app, or those of the module `json`."""

    class Shouting:
        def dumps(self, obj: Any) -> str:
            return str(obj).upper()

        def loads(self, s: str | bytes) -> Any:
            return [s]

    async def work() -> None:
        ws, transport = connecting()
        await ws.send_json({"a": "é"})
        transport.send(frame(1, b'[1, "\xc3\xa9"]'), frame(2, b"{}"), frame(1, b"{"))
        assert [await ws.receive_json(), await ws.receive_json()] == [[1, "é"], {}]
        with pytest.raises(ValueError, match="property name"):
            await ws.receive_json()
        other = FakeTransport()
        settings = WebSocketSettings()
        ws = WebSocket(OpeningHandshake(KEY), other.upgrade, settings, no_headers, json=Shouting())
        await ws.send_json("x")
        other.send(frame(1, b"y"))
        assert (await ws.receive_json(), other.frames()) == (["y"], [(1, b"X")])

    asyncio.run(work())


@pytest.mark.parametrize("code", range(1000, 1016))
def test_a_normal_close_is_no_fault(code: int) -> None:
    """RFC 6455 §7.4.1: the purpose is fulfilled, an endpoint goes away, or no code was sent."""
    assert WebSocketClosedError(code).is_normal == (code in {1000, 1001, 1005})


@pytest.mark.parametrize(
    "error",
    [WebSocketClosedError(4000, "off"), HandshakeError("no", 426, [("a", "b")])],
    ids=repr,
)
def test_errors_can_be_pickled(error: Exception) -> None:
    """With what they carry."""
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    check_library()
    monkeypatch.setattr("dewar.websocket.library.find_spec", lambda _: None)
    with pytest.raises(WebSocketLibraryError, match=r"pip install 'dewar-web\[websocket\]'"):
        check_library()
