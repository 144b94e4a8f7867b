"""`AsyncExchange`: an exchange on the event loop and on threads, with a connection of straw."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextvars import Context
from typing import Any

import pytest

from asynctools import on_loop
from dewar.loop.async_body import AsyncBody
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import OFF_LOOP, ON_LOOP, begin
from dewar.server.connection.async_exchange import AsyncExchange
from dewar.server.connection.exchange import Exchange
from dewar.server.connection.server_context import ServerContext
from dewar.server.settings.settings import Settings

pytestmark = pytest.mark.usefixtures("calm_loop")


class Straw:
    """A connection that keeps what is sent."""

    is_plain = False

    def __init__(self) -> None:
        self.sent = b""
        self.is_aborted = False
        self.drained_at: list[int] = []

    def send(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data

    def send_waiting(self, data: bytes) -> bool:
        """Keep it; there is always room."""
        self.send(data)
        return False

    def check_client(self) -> None:
        """Stay."""

    def send_pair(self, head: bytes, body: bytes) -> None:
        """Keep both."""
        self.sent += head + body

    async def drain(self) -> None:
        """Be a client that takes it at the next turn of the loop."""
        await asyncio.sleep(0)
        self.drained_at.append(len(self.sent))

    def abort(self) -> None:
        """Note it."""
        self.is_aborted = True

    def reset(self) -> None:
        """Never mind."""


class Held:
    """One suspended exchange, and what gives it back."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self.client = Straw()
        self._given_back = threading.Semaphore(0)

        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            result: Iterable[bytes] = work(start_response)
            return result

        environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/", "wsgi.input": None}
        self.exchange = Exchange().begin(environ, True, True, None)
        context = Context()
        server_context = ServerContext(app, Settings(), lambda: 0.0)
        context.run(self.exchange.respond, server_context, self.client)  # type: ignore[arg-type]
        self.async_exchange = AsyncExchange(self.exchange, self.client, context)

    def wait(self, then: Callable[[], None] = lambda: None) -> None:
        """Launch it, do something, and wait until it is given back."""
        self.async_exchange.launch(lambda _: self._given_back.release())
        then()
        assert self._given_back.acquire(timeout=10)


def where() -> bytes:
    return b"loop " if process_loop.is_here() else b"thread "


async def answer(start_response: Any, *places: Any) -> list[bytes]:
    """Go to each place, and tell where that was."""
    seen = [where()]
    for resume_on in places:
        await resume_on
        await asyncio.sleep(0) if resume_on is ON_LOOP else None
        seen.append(where())
    start_response("200 OK", [])
    return [b"".join(seen)]


def test_an_answer_that_ends_on_the_loop_is_sent_there() -> None:
    """Nothing is left for a thread then."""
    held = Held(lambda start: begin(answer(start, ON_LOOP)))
    assert repr(held.async_exchange).endswith("waiting>")
    held.wait()
    assert held.async_exchange.has_ended
    assert held.client.sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert held.client.sent.endswith(b"thread loop ")
    assert repr(held.async_exchange).endswith("ended>")


def test_what_may_block_is_left_for_a_thread() -> None:
    """As often as there is something, and the loop has it in between."""
    held = Held(lambda start: begin(answer(start, ON_LOOP, OFF_LOOP, ON_LOOP, OFF_LOOP)))
    for _ in range(2):
        held.wait()
        assert not held.async_exchange.has_ended
        held.async_exchange.resume()
    assert held.async_exchange.has_ended
    assert held.client.sent.endswith(b"thread loop thread loop thread ")


def test_a_stream_is_sent_as_it_is_taken_and_closed_on_a_thread() -> None:
    """Its ``close`` may block."""
    closed: list[bytes] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b""
        yield b"two"

    def work(start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return AsyncBody(pieces(), lambda: closed.append(where()))

    held = Held(work)
    held.wait()
    assert not held.async_exchange.has_ended
    held.async_exchange.resume()
    assert held.async_exchange.has_ended
    assert closed == [b"thread "]
    assert held.client.sent.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert len(held.client.drained_at) == 2, "an empty piece is nothing to take"


def test_what_begins_on_the_loop_may_have_ended_at_once() -> None:
    """Without a turn of the loop; or it goes on as any other."""

    async def quick(start_response: Any) -> list[bytes]:
        await ON_LOOP
        start_response("200 OK", [])
        return [b"quick"]

    held = Held(lambda start: begin(quick(start)))
    assert not held.async_exchange.try_finish(), "this is not the loop's thread"
    assert on_loop(held.async_exchange.try_finish)
    assert held.client.sent.endswith(b"quick")
    slow = Held(lambda start: begin(answer(start, ON_LOOP, OFF_LOOP)))
    assert not on_loop(slow.async_exchange.try_finish)
    slow.wait()
    slow.async_exchange.resume()
    assert slow.client.sent.endswith(b"thread loop thread ")


def test_an_error_is_answered_wherever_it_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    """On the loop and on a thread, an exit too."""

    async def fail(resume_on: Any) -> list[bytes]:
        await ON_LOOP
        await resume_on
        raise SystemExit

    on = Held(lambda start: begin(fail(ON_LOOP)))
    on.wait()
    off = Held(lambda start: begin(fail(OFF_LOOP)))
    off.wait()
    off.async_exchange.resume()
    for held in (on, off):
        assert held.async_exchange.has_ended
        assert held.client.sent.startswith(b"HTTP/1.1 500 ")
    assert len(caplog.records) == 2


class Waiting:
    """Work that waits for ever, and tells how it was told to end."""

    def __init__(self, *cleaning: Any) -> None:
        self.told: list[str] = []
        self._cleaning = cleaning

    async def __call__(self) -> list[bytes]:
        """Wait on the loop."""
        await ON_LOOP
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise
        finally:
            for resume_on in self._cleaning:
                await resume_on
                if resume_on is ON_LOOP:
                    await asyncio.sleep(0)
                self.told.append("cleaned up")
        return []


@pytest.mark.parametrize("continue_bodies", [False, True])
def test_the_leaving_of_a_client_cancels_what_waits(
    continue_bodies: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also before its first step on the loop; it is no failure of the application's."""
    work = Waiting()
    held = Held(lambda start: begin(work()))
    if continue_bodies:
        held.async_exchange.cancel()
    held.wait(lambda: None if continue_bodies else held.async_exchange.cancel())
    assert held.async_exchange.has_ended
    assert work.told == ["cancelled"]
    assert held.client.is_aborted
    assert held.client.sent == b""
    assert [record for record in caplog.records if record.levelname != "DEBUG"] == []


def test_it_is_told_once_however_often_it_goes_to_and_fro() -> None:
    """What cleans up is not cancelled in its turn, by the same leaving or by another word of it."""
    work = Waiting(OFF_LOOP, ON_LOOP, OFF_LOOP)
    held = Held(lambda start: begin(work()))
    held.wait(held.async_exchange.cancel)
    held.async_exchange.cancel()
    held.async_exchange.resume()
    held.wait(held.async_exchange.cancel)
    held.async_exchange.resume()
    assert held.async_exchange.has_ended
    assert work.told == ["cancelled", "cleaned up", "cleaned up", "cleaned up"]
    assert held.client.is_aborted
