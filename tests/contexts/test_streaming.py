"""`stream_with_context`: the request while the response is produced."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from itertools import zip_longest
from typing import Any

import pytest

from dewar import (
    Dewar,
    current_app,
    g,
    has_request_context,
    request,
    stream_template_string,
    stream_with_context,
)
from dewar.contexts.current import contexts
from suspendedtools import make_environ


@pytest.fixture
def app() -> Dewar:
    return Dewar("streaming", static_folder=None)


def test_the_request_is_seen_in_every_step_and_never_between(app: Dewar) -> None:
    """Whoever drives the stream is in no context when it has control."""
    with app.test_request_context("/stream?a=1"):
        g.x = "kept"

        @stream_with_context
        def pieces() -> Iterator[str]:
            yield request.path
            yield request.args["a"]
            yield g.x

        stream = pieces()
    seen = []
    for piece in stream:
        assert not has_request_context()
        assert contexts.state is None
        seen.append(piece)
    assert seen == ["/stream", "1", "kept"]


def test_a_stream_that_is_collected_with_its_app_ends() -> None:
    """Its teardown functions run, although nothing else refers to the app any more."""
    app, ended = Dewar("collected", static_folder=None), []
    with app.test_request_context("/"):
        app.extensions["stream"] = stream_with_context(iter(["a", "b"]))
    app.teardown_request(lambda _: ended.append("torn down"))
    next(app.extensions["stream"])
    del app
    gc.collect()
    assert ended == ["torn down"]


def test_an_abandoned_stream_leaves_nothing_on_the_thread(app: Dewar) -> None:
    """However it ends: closed early, dropped, never started, or failing."""
    closed: list[str] = []

    def pieces(name: str) -> Iterator[str]:
        try:
            yield request.path
            if name == "failing":
                raise ZeroDivisionError
            yield "more"
        finally:
            closed.append(name)

    def make(name: str) -> Any:
        with app.test_request_context("/stream"):
            return stream_with_context(pieces(name))

    stream = make("closed")
    assert next(stream) == "/stream"
    stream.close()
    assert contexts.state is None
    stream = make("dropped")
    next(stream)
    del stream
    gc.collect()
    stream = make("failing")
    next(stream)
    with pytest.raises(ZeroDivisionError):
        next(stream)
    make("never started").close()
    assert contexts.state is None
    assert closed == ["closed", "dropped", "failing"]


def test_teardown_functions_run_when_the_stream_has_ended(app: Dewar) -> None:
    """What the stream opened is torn down as well, as in Flask."""
    ends: list[Any] = []
    app.teardown_request(lambda error: ends.append(request.path))
    with app.test_request_context("/stream"):
        stream = stream_with_context(iter(["a", "b"]))
    assert ends == ["/stream"]
    assert list(stream) == ["a", "b"]
    assert ends == ["/stream", "/stream"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_that_nobody_reads_is_no_second_end(app: Dewar, is_async: bool) -> None:
    """As in Flask: for HEAD the request ends with its view, and nothing was cut off."""
    told: list[Any] = []
    app.teardown_request(told.append)
    app.teardown_appcontext(told.append)

    def pieces() -> Iterator[str]:
        raise AssertionError("asked for a piece")
        yield

    async def async_pieces() -> AsyncIterator[str]:
        raise AssertionError("asked for a piece")
        yield

    view = stream_with_context(async_pieces if is_async else pieces)
    app.add_url_rule("/stream", "stream", view)
    app.test_client().head("/stream").close()
    gc.collect()
    assert told == [None, None]


@pytest.mark.parametrize("kind", ["one inside the other", "both at once", "asynchronous"])
def test_streams_of_one_request_end_together(app: Dewar, kind: str) -> None:
    """As in Flask: while one is read, what it uses is not torn down at the end of another."""
    told: list[Any] = []
    app.teardown_request(told.append)
    app.teardown_appcontext(told.append)

    def inner() -> Any:
        return stream_template_string("{{ request.path }}|{{ 1 }}")

    def outer() -> Iterator[str]:
        yield "begin"
        yield from inner()
        yield f"{request.path} {len(told)}"

    async def async_inner() -> AsyncIterator[str]:
        yield request.path

    async def async_outer() -> AsyncIterator[str]:
        async for piece in stream_with_context(async_inner()):
            yield piece
        yield f"{request.path} {len(told)}"

    def both() -> Iterator[str]:
        first, second = inner(), stream_with_context(outer())
        return map("".join, zip_longest(first, second, fillvalue=""))

    views = {
        "one inside the other": stream_with_context(outer),
        "both at once": both,
        "asynchronous": stream_with_context(async_outer),
    }
    app.add_url_rule("/stream", "stream", views[kind])
    assert app.test_client().get("/stream").text.endswith("/stream 2")
    assert told == [None] * 4


@pytest.mark.parametrize("is_async", [False, True])
def test_streams_that_are_cut_off_together_close_before_the_teardown(
    app: Dewar, is_async: bool
) -> None:
    """The inner ones are closed by the outer one, which the teardown functions have to wait for."""
    told: list[Any] = []
    app.teardown_request(lambda error: told.append(type(error)))

    def pieces(inner: Any = ()) -> Iterator[str]:
        try:
            yield from inner
            yield request.path
        finally:
            told.append("closed")

    async def async_pieces(inner: Any = None) -> AsyncIterator[str]:
        try:
            if inner is not None:
                async for piece in inner:
                    yield piece
            yield request.path
        finally:
            if inner is not None:
                await inner.aclose()
            told.append("closed")

    make: Any = async_pieces if is_async else pieces
    view = stream_with_context(lambda: make(stream_with_context(make())))
    app.add_url_rule("/stream", "stream", view)
    body: Any = app(make_environ(path="/stream"), lambda *_: None)
    assert next(iter(body)) == b"/stream"
    body.close()
    assert told == [type(None), "closed", "closed", GeneratorExit]


def test_a_test_client_goes_on_with_g_after_a_stream(app: Dewar) -> None:
    """Also if the stream was over before the client got it, as an empty one is."""

    @app.get("/empty")
    def empty() -> Any:
        g.name = "Ada"
        return stream_with_context(iter(()))

    with app.test_client() as client:
        client.get("/empty")
        assert g.name == "Ada"


def test_a_stream_inside_an_app_context_ends_in_it(app: Dewar) -> None:
    """As in Flask: that context's own end is its end, unless the stream lasts longer."""
    told: list[Any] = []
    app.teardown_request(lambda error: told.append(("request", type(error))))
    app.teardown_appcontext(lambda error: told.append(("app", type(error))))

    def make() -> Any:
        with app.test_request_context("/"):
            return stream_with_context(iter(["a", "b"]))

    with app.app_context():
        first, second = make(), make()
        told.clear()
        next(first)
        first.close()
        assert told == [("request", GeneratorExit)]
    told.clear()
    assert list(second) == ["a", "b"]
    assert told == [("request", type(None)), ("app", type(None))]


def test_a_second_cancellation_does_not_prevent_the_teardown(app: Dewar) -> None:
    """It may come while the teardown functions wait for a thread."""
    told: list[Any] = []
    app.teardown_request(told.append)
    release = threading.Event()

    async def pieces() -> AsyncIterator[str]:
        yield request.path

    async def read(stream: AsyncIterator[str]) -> None:
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]  # a generator

    async def main() -> None:
        with ThreadPoolExecutor(1) as only_thread:
            asyncio.get_running_loop().set_default_executor(only_thread)
            only_thread.submit(release.wait, 10)
            with app.test_request_context("/"):
                reader = asyncio.create_task(read(stream_with_context(pieces())))
            while only_thread._work_queue.empty():
                await asyncio.sleep(0)
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            assert len(told) == 1  # of the view
            release.set()

    asyncio.run(main())
    assert [type(error) for error in told] == [type(None), GeneratorExit]


def test_a_context_opened_inside_the_stream_stays_inside(app: Dewar) -> None:
    """A generator may yield from within a with block of another app."""
    other = Dewar("other", static_folder=None)

    def pieces() -> Iterator[str]:
        with other.app_context():
            yield current_app.name
        yield current_app.name

    with app.test_request_context("/"):
        stream = stream_with_context(pieces())
    assert next(stream) == "other"
    assert contexts.state is None
    assert list(stream) == ["streaming"]


def test_streams_of_many_requests_interleave_on_one_thread(app: Dewar) -> None:
    """Each step finds its own request."""

    def pieces() -> Iterator[str]:
        for _ in range(5):
            yield request.args["n"]

    streams = []
    for number in range(20):
        with app.test_request_context(f"/?n={number}"):
            streams.append(stream_with_context(pieces()))
    for _ in range(5):
        assert [next(stream) for stream in streams] == [str(number) for number in range(20)]


def test_another_thread_may_drive_the_stream(app: Dewar) -> None:
    """The request goes with the stream, not with the thread that made it."""
    with app.test_request_context("/elsewhere"):
        stream = stream_with_context(request.path for _ in range(2))
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.extend([*stream, has_request_context()]))
    thread.start()
    thread.join()
    assert seen == ["/elsewhere", "/elsewhere", False]


def test_outside_of_a_request_it_says_so() -> None:
    """The error names the function."""
    with pytest.raises(RuntimeError, match="'stream_with_context' was called here"):
        stream_with_context(iter([]))


def test_a_generator_that_pops_too_much_ends_all_the_same(app: Dewar) -> None:
    """What it took off was the copy's."""

    def pieces() -> Iterator[str]:
        contexts.writer(None)
        yield "popped"

    with app.test_request_context("/"):
        stream = stream_with_context(pieces())
        assert list(stream) == ["popped"]
        assert contexts.state is not None


def test_what_can_be_iterated_is_not_called(app: Dewar) -> None:
    """As in Flask."""

    class Both:
        def __iter__(self) -> Iterator[str]:
            return iter(["iterated"])

        def __call__(self) -> Iterator[str]:
            raise AssertionError("called")

    with app.test_request_context("/"):
        assert list(stream_with_context(Both())) == ["iterated"]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("ends", ["well", "raising", "abandoned", "failing to close"])
def test_teardown_functions_are_told_what_ended_the_stream(
    app: Dewar, is_async: bool, ends: str
) -> None:
    """None, its error, or `GeneratorExit`; so a transaction is rolled back with its stream."""
    told: list[Any] = []
    app.teardown_request(told.append)
    app.teardown_appcontext(told.append)

    def pieces() -> Iterator[str]:
        try:
            yield "a"
            if ends == "raising":
                raise ZeroDivisionError(request.path)
            yield "b"
        finally:
            if ends == "failing to close":
                raise LookupError(request.path)

    async def async_pieces() -> AsyncIterator[str]:
        with closing(pieces()) as source:
            for piece in source:
                yield piece

    view = stream_with_context(async_pieces if is_async else pieces)
    app.add_url_rule("/stream", "stream", view)
    body = app(make_environ(path="/stream"), lambda *_: None)
    assert told == [None, None]
    driver = iter(body)
    assert next(driver) == b"a"
    error = {"raising": ZeroDivisionError, "failing to close": LookupError}.get(ends)
    # Whoever closes an asynchronous stream early is not told how that went.
    raised = None if is_async and ends == "failing to close" else error
    with pytest.raises(raised) if raised else nullcontext():
        if ends in {"well", "raising"}:
            list(driver)
        body.close()  # type: ignore[attr-defined]  # as a server does
    ended = {"well": type(None), "abandoned": GeneratorExit}.get(ends, error)
    assert [type(each) for each in told[2:]] == [ended, ended]
    assert not has_request_context()


@pytest.mark.parametrize("ends", ["closed", "read", "failed"])
def test_tasks_that_share_a_stream_keep_their_own_contexts(app: Dewar, ends: str) -> None:
    """Each task has after a step, and after the end, what it had before."""
    other = Dewar("other", static_folder=None)
    told: list[Any] = []
    app.teardown_request(told.append)

    async def pieces() -> AsyncIterator[str]:
        yield request.path
        yield current_app.name
        if ends == "failed":
            raise ValueError

    async def step(stream: Any) -> Any:
        with other.app_context() as own:
            try:
                if ends == "closed" and seen:
                    return await stream.aclose()
                return await anext(stream, None)
            except ValueError:
                return None
            finally:
                assert contexts.apps == [own]
                assert contexts.requests == []

    async def main() -> None:
        with app.test_request_context("/stream"):
            stream = stream_with_context(pieces())
        told.clear()
        while (piece := await asyncio.create_task(step(stream))) is not None:
            seen.append(piece)

    seen: list[str] = []
    asyncio.run(main())
    assert seen == (["/stream"] if ends == "closed" else ["/stream", "streaming"])
    kinds = {"closed": GeneratorExit, "read": type(None), "failed": ValueError}
    assert [type(error) for error in told] == [kinds[ends]]
