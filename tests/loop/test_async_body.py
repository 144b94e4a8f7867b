"""Asynchronous bodies, the tasks that belong to them, and threads that wait for either."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextvars import Context, ContextVar
from typing import Any

import pytest

import dewar.loop.task_scope
from dewar.loop.async_body import AsyncBody
from dewar.loop.event_loop import make_task
from dewar.loop.from_thread import maybe_other_thread, run_coroutine
from dewar.loop.process_loop import process_loop
from dewar.loop.task_scope import TaskScope, current_scope

pytestmark = pytest.mark.usefixtures("calm_loop")

_name: ContextVar[str] = ContextVar("name", default="nobody")


class Source:
    """An asynchronous generator that tells how far it has come."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.made: list[int] = []
        self.is_closed = False
        self._fails_at = fails_at

    async def pieces(self) -> AsyncIterator[bytes]:
        """Make four pieces, or fail before that."""
        try:
            for number in range(4):
                if number == self._fails_at:
                    raise LookupError(number)
                await asyncio.sleep(0)
                self.made.append(number)
                yield b"%d" % number
        finally:
            self.is_closed = True


def on_a_loop_of_ones_own(function: Any) -> Any:
    """Call a function where the process's loop cannot be waited for: on its own thread."""
    returned: list[Any] = []
    is_done = threading.Event()

    def call() -> None:
        try:
            returned.append(function())
        except BaseException as error:
            returned.append(error)
        is_done.set()

    process_loop.call_soon(call)
    assert is_done.wait(20)
    if isinstance(returned[0], BaseException):
        raise returned[0]
    return returned[0]


WHERE = [lambda function: function(), on_a_loop_of_ones_own]


@pytest.mark.parametrize("call", WHERE, ids=["thread", "loop"])
class TestAsyncBody:
    """For a server that knows nothing of it: an iterable, and the thread waits."""

    def test_a_piece_is_made_when_it_is_asked_for(self, call: Any) -> None:
        """No more than one ahead of what is taken, and the end is told once."""
        source, ended = Source(), []

        def iterate() -> list[int]:
            body = AsyncBody(source.pieces(), lambda: ended.append(True))
            counts = []
            for piece in body:
                assert piece == b"%d" % len(counts)
                counts.append(len(source.made))
            body.close()
            return counts

        assert call(iterate) == [1, 2, 3, 4]
        assert source.is_closed
        assert ended == [True]

    def test_one_that_is_left_is_closed(self, call: Any) -> None:
        """Half way, or before its first piece."""
        source, ended = Source(), []

        def iterate() -> None:
            body = AsyncBody(source.pieces(), lambda: ended.append(True))
            assert next(iter(body)) == b"0"
            body.close()

        call(iterate)
        assert source.is_closed
        assert source.made == [0]
        assert ended == [True]
        call(AsyncBody(source.pieces(), lambda: ended.append(True)).close)
        assert ended == [True, True]

    def test_an_error_comes_to_who_iterates(self, call: Any) -> None:
        """After the pieces before it."""
        source = Source(fails_at=2)
        taken: list[bytes] = []

        def iterate() -> None:
            body = AsyncBody(source.pieces())
            try:
                taken.extend(body)
            finally:
                body.close()

        with pytest.raises(LookupError):
            call(iterate)
        # `extend` keeps what came before.
        assert taken == [b"0", b"1"]
        assert source.is_closed

    def test_it_runs_in_a_copy_of_its_takers_context(self, call: Any) -> None:
        """It sees what was set there, and what it sets is its own."""

        async def pieces() -> AsyncIterator[bytes]:
            yield _name.get().encode()
            _name.set("the stream's")
            yield _name.get().encode()

        def iterate() -> tuple[list[bytes], str]:
            _name.set("ours")
            return list(AsyncBody(pieces())), _name.get()

        assert call(lambda: Context().run(iterate)) == ([b"ours", b"the stream's"], "ours")


def test_the_source_is_closed_though_sending_fails() -> None:
    """And the next piece is asked for only when the last was sent."""
    source, sent = Source(), []

    async def send(piece: bytes) -> None:
        sent.append((piece, len(source.made)))
        if len(sent) == 2:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        run_coroutine(lambda: AsyncBody(source.pieces()).send_all(send))
    assert sent == [(b"0", 1), (b"1", 2)]
    assert source.is_closed


def test_what_is_waited_for_sets_what_it_sets_for_the_waiter() -> None:
    """As if it had run in the caller itself; on the loop's thread too."""

    async def work(name: str) -> str:
        await asyncio.sleep(0)
        before = _name.get()
        _name.set(name)
        return before

    def wait() -> tuple[str, str]:
        return run_coroutine(lambda: work("set")), _name.get()

    assert Context().run(wait) == ("nobody", "set")
    assert maybe_other_thread() is None
    assert on_a_loop_of_ones_own(lambda: Context().run(wait)) == ("nobody", "set")


def test_a_task_belongs_to_the_scope_that_it_is_made_in() -> None:
    """Also one that such a task makes, and not one that is made in an empty context."""

    async def child() -> None:
        asyncio.create_task(asyncio.sleep(0), name="grandchild")  # noqa: RUF006  # the scope has it
        await asyncio.sleep(0)

    async def work() -> tuple[int, int]:
        scope = TaskScope("a test")
        current_scope.set(scope)
        assert not scope
        tasks = [asyncio.create_task(child()) for _ in range(3)]
        free = make_task(asyncio.get_running_loop(), asyncio.sleep(0), context=Context())
        before = len(scope._tasks or ())
        await asyncio.gather(*tasks)
        during = len(scope._tasks or ())
        await asyncio.gather(free)
        await scope.end()
        assert not scope
        return before, during

    before, during = Context().run(run_coroutine, work)
    assert before == 3
    assert during >= 0


def test_the_end_of_a_scope_cancels_and_waits(caplog: pytest.LogCaptureFixture) -> None:
    """With a warning for each, except where the request was cut off as well."""
    ended: list[str] = []

    async def child(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async def work(is_cut_off: bool) -> None:
        scope = TaskScope("a request")
        current_scope.set(scope)
        tasks = [asyncio.create_task(child(name), name=name) for name in ("first", "second")]
        await asyncio.sleep(0)
        assert repr(scope) == "<TaskScope of 'a request', 2 tasks>"
        await scope.end(is_cut_off)
        assert all(task.cancelled() for task in tasks)

    # Each in a context of its own, or the scopes stay behind for other tests.
    Context().run(run_coroutine, lambda: work(True))
    assert caplog.records == []
    Context().run(run_coroutine, lambda: work(False))
    assert sorted(ended) == ["first", "first", "second", "second"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_a_task_that_goes_on_is_left_and_told_of(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request does not wait for it for ever."""
    monkeypatch.setattr(dewar.loop.task_scope, "_LEAVE", 0.01)

    async def work() -> None:
        scope = TaskScope("a request")
        current_scope.set(scope)
        is_free = asyncio.Event()

        async def stubborn() -> None:
            try:
                await is_free.wait()
            except asyncio.CancelledError:
                await is_free.wait()

        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await scope.end(is_cut_off=True)
        assert not task.done()
        is_free.set()
        await task

    Context().run(run_coroutine, work)
    assert "does not end, though it was cancelled" in caplog.text


def test_a_task_of_the_scope_may_end_it(caplog: pytest.LogCaptureFixture) -> None:
    """The others are cancelled; it does not wait for itself."""

    async def end(scope: TaskScope) -> None:
        await scope.end(is_cut_off=True)

    async def work() -> None:
        scope = TaskScope("a request")
        current_scope.set(scope)
        other = asyncio.create_task(asyncio.Event().wait())
        await asyncio.create_task(end(scope))
        assert other.cancelled()

    Context().run(run_coroutine, work)
    assert caplog.records == []
