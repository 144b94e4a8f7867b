"""A relay says that it is there, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest

from dewar.events.event import KEEP_ALIVE_COMMENT
from dewar.events.keep_alive import KeepAlive, with_keep_alive
from eventtools import VirtualLoop

Heard = list[tuple[float, str]]


def relay(
    source: Any, ping: float | None = 15.0, is_over: Callable[[], bool] = lambda: False
) -> Any:
    return with_keep_alive(source, KeepAlive(opening="open", ping=ping, is_over=is_over))


async def heard(stream: Any, sending: float = 0.0) -> Heard:
    """Return what comes and when; each text takes some time to send."""
    now, found = asyncio.get_running_loop().time, []
    async with aclosing(stream):
        async for text in stream:
            found.append((now(), text))
            await asyncio.sleep(sending)
    return found


class Source:
    """Says a text after each pause, and what has become of it."""

    def __init__(self, *pauses: float) -> None:
        self.pauses = pauses
        self.log: list[str] = []
        self.tasks: set[Any] = set()

    async def texts(self) -> AsyncIterator[str]:
        self.tasks.add(asyncio.current_task())
        try:
            for number, pause in enumerate(self.pauses):
                self.log.append(f"asked {number}")
                await asyncio.sleep(pause)
                self.tasks.add(asyncio.current_task())
                yield str(number)
        except BaseException as error:
            self.log.append(type(error).__name__)
            raise
        finally:
            await asyncio.sleep(1)
            self.tasks.add(asyncio.current_task())
            self.log.append("ended")


def test_silence_is_broken_by_comments(loop: VirtualLoop) -> None:
    """One after each interval without a text; the first words are there at once."""
    found = loop.play(heard(relay(Source(0, 40, 1).texts())))
    assert found == [
        (0, "open"),
        (0, "0"),
        (15, KEEP_ALIVE_COMMENT),
        (30, KEEP_ALIVE_COMMENT),
        (40, "1"),
        (41, "2"),
    ]


@pytest.mark.parametrize("ping", [0.1, 0.5, 1.5, 20.0])
def test_comments_come_on_time(loop: VirtualLoop, ping: float) -> None:
    """Whether they are frequent or rare."""
    found = loop.play(heard(relay(Source(0.25, ping * 2.5).texts(), ping)))
    times = [
        time
        for time, text in found
        if text == KEEP_ALIVE_COMMENT and 0.25 < time < 0.25 + ping * 2.4
    ]
    assert times == pytest.approx([0.25 + ping, 0.25 + ping * 2])


def test_without_an_interval_there_is_silence(loop: VirtualLoop) -> None:
    """Nobody asked for comments."""
    found = loop.play(heard(relay(Source(3600).texts(), None)))
    assert found == [(0, "open"), (3600, "0")]


def test_a_source_lives_in_one_task(loop: VirtualLoop) -> None:
    """Over its comments and to its end, so that a time limit or a group may span its texts."""
    source = Source(20, 20)
    loop.play(heard(relay(source.texts())))
    assert len(source.tasks) == 1
    assert source.log == ["asked 0", "asked 1", "ended"]


def test_the_next_text_is_asked_for_when_the_last_was_sent(loop: VirtualLoop) -> None:
    """A slow client slows its source, and is sent no comments on top."""
    found = loop.play(heard(relay(Source(0, 0, 0).texts(), ping=2.0), sending=10))
    assert found == [(0, "open"), (10, "0"), (20, "1"), (30, "2")]


def test_a_text_that_comes_while_a_comment_is_sent_waits(loop: VirtualLoop) -> None:
    """And so does the source, behind it."""
    source = Source(3, 0)
    found = loop.play(heard(relay(source.texts(), ping=2.0), sending=10))
    assert found == [(0, "open"), (12, KEEP_ALIVE_COMMENT), (22, "0"), (32, "1")]


def test_a_stream_ends_soon_when_it_is_over(loop: VirtualLoop) -> None:
    """Its source is cancelled where it waits, and has come to its end before."""
    source = Source(0, 3600)
    found = loop.play(heard(relay(source.texts(), is_over=lambda: loop.time() > 4.5)))
    assert found == [(0, "open"), (0, "0")]
    assert 4.5 < loop.time() <= 4.5 + 1 + 1  # the source takes one for its end
    assert source.log == ["asked 0", "asked 1", "CancelledError", "ended"]


@pytest.mark.parametrize(
    ("taken", "log"),
    [
        (0, []),
        (1, []),
        (2, ["asked 0", "GeneratorExit", "ended"]),
        (3, ["asked 0", "asked 1", "CancelledError", "ended"]),
    ],
)
def test_a_stream_that_is_closed_ends_its_source(
    loop: VirtualLoop, taken: int, log: list[str]
) -> None:
    """Wherever that is; one that was never begun is none."""
    source = Source(0, 60)

    async def take() -> None:
        stream = relay(source.texts())
        for _ in range(taken):
            await anext(stream)
        await stream.aclose()

    loop.play(take())
    assert source.log == log


@pytest.mark.parametrize("moment", [0.0, 5.0, 16.0])
def test_a_task_that_is_cancelled_ends_its_source(loop: VirtualLoop, moment: float) -> None:
    """As when the client has gone."""
    source = Source(10, 60)

    async def leave() -> None:
        task = asyncio.create_task(heard(relay(source.texts(), ping=2.0)))
        await asyncio.sleep(moment)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.play(leave())
    assert source.log[-2:] == (["CancelledError", "ended"] if moment else [])


def test_what_the_source_raises_is_raised_after_what_it_said(loop: VirtualLoop) -> None:
    """Once."""

    async def failing() -> AsyncIterator[str]:
        yield "first"
        raise ZeroDivisionError

    async def take() -> None:
        stream = relay(failing())
        assert [await anext(stream), await anext(stream)] == ["open", "first"]
        with pytest.raises(ZeroDivisionError):
            await anext(stream)

    loop.play(take())


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_an_exit_is_the_stream_s_and_not_the_loop_s(
    loop: VirtualLoop, kind: type[BaseException]
) -> None:
    """All others on the loop go on."""

    async def leaving() -> AsyncIterator[str]:
        yield "first"
        raise kind

    async def take() -> type[BaseException]:
        try:
            await heard(relay(leaving()))
        except BaseException as error:
            return type(error)
        raise AssertionError

    assert loop.play(take()) is kind


def test_an_error_at_the_end_of_a_source_that_is_left_is_nobody_s(loop: VirtualLoop) -> None:
    """Nobody is there to be told, and the loop complains of nothing."""

    async def failing() -> AsyncIterator[str]:
        try:
            yield "first"
        finally:
            raise ZeroDivisionError

    async def take() -> None:
        stream = relay(failing())
        await anext(stream)
        await anext(stream)
        await stream.aclose()

    loop.play(take())


def test_a_source_that_will_not_end_is_left_behind(loop: VirtualLoop) -> None:
    """After some seconds, so that the response can end."""
    gate = asyncio.Event()

    async def stubborn() -> AsyncIterator[str]:
        yield "first"
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()

    async def take() -> float:
        stream = relay(stubborn(), ping=1.0)
        for _ in range(3):
            await anext(stream)
        before = loop.time()
        await stream.aclose()
        gate.set()
        waited = loop.time() - before
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})
        return waited

    assert loop.play(take()) == 5.0


def test_many_streams_wait_at_once(loop: VirtualLoop) -> None:
    """Each with its own comments and its own end."""

    async def all_of_them() -> list[Heard]:
        streams = (relay(Source(number).texts(), ping=10.0) for number in range(200))
        return await asyncio.gather(*(heard(stream) for stream in streams))

    for number, found in enumerate(loop.play(all_of_them())):
        pings = [(10.0 * count, KEEP_ALIVE_COMMENT) for count in range(1, (number - 1) // 10 + 1)]
        texts = [entry for entry in found if entry != (float(number), KEEP_ALIVE_COMMENT)]
        assert texts == [(0, "open"), *pings, (number, "0")]
