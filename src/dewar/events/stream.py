"""`event_stream`: a response that sends events to a browser's ``EventSource``."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from functools import partial
from inspect import iscoroutine
from itertools import chain
from types import MappingProxyType
from typing import Any, Self

from dewar.contexts.current import current_request
from dewar.contexts.streaming import stream_with_context
from dewar.environ_keys import IS_DRAINING
from dewar.events.errors import EventError, EventSourceError
from dewar.events.event import Dumps, ServerSentEvent, event_text
from dewar.events.keep_alive import KeepAlive, with_keep_alive
from dewar.messages.response import Response

MIMETYPE = "text/event-stream"
#: No cache stores the events. Without the second, nginx holds them until its buffer is full.
HEADERS = MappingProxyType({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

_OPENING = ServerSentEvent(comment="open")

EventItem = str | dict[str, Any] | list[Any] | ServerSentEvent
EventItems = AsyncIterable[EventItem] | Iterable[EventItem]


def event_stream(
    source: EventItems | Callable[[], EventItems],
    *,
    ping: float | None = 15.0,
    retry: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a response that sends each event when it happens (WHATWG HTML, section 9.2).

    ::

        @app.get("/clock")
        async def clock():
            async def ticks():
                while True:
                    yield {"now": time.time()}
                    await asyncio.sleep(1)

            return event_stream(ticks())

    The source sees the request. It ends when the client leaves, and within about a second after the
    server begins to stop; clients connect again by themselves. An asynchronous source holds no
    thread of Dewar's server. Any other source holds one, and can only end between two events.

    Args:
        source: A source of events, or a function without arguments that returns one. Events are
            texts, dicts and lists, which are sent as JSON, and `ServerSentEvent`.
        ping: The seconds without an event after which a comment is sent, which shows whether the
            client is still connected; None for never. It works with asynchronous sources only.
        retry: The seconds that the client waits before it connects again; None for its default.
        headers: Headers of the response. They replace those of the same name.

    Raises:
        EventSourceError: If the source yields no events.
        EventError: For a `ping` or `retry` that is not possible.
        UnboundError: If no request is being handled.
    """
    if ping is not None and not ping > 0:
        raise EventError(f"ping={ping!r} should be seconds, more than 0; or None for never.")
    context = current_request("event_stream")
    app, items = context.app, _items_of(source)
    opening = _OPENING if retry is None else ServerSentEvent(retry=retry)
    write = partial(_written, dumps=app.json.dumps)
    is_over = context.request.environ.get(IS_DRAINING, bool)
    keep_alive = KeepAlive(opening=write(opening), ping=ping, is_over=is_over)
    body: Any
    if isinstance(items, AsyncIterable):
        body = with_keep_alive(stream_with_context(_texts(items, write)), keep_alive)  # type: ignore[arg-type]  # a generator
    else:
        body = _UntilOver(stream_with_context(_Texts(iter(items), write)), keep_alive)
    response: Response = app.response_class(
        body, mimetype=MIMETYPE, headers={**HEADERS, **(headers or {})}
    )
    return response


def _items_of(source: Any) -> AsyncIterable[Any] | Iterable[Any]:
    if callable(source) and not isinstance(source, (AsyncIterable, Iterable)):
        source = source()
    if iscoroutine(source):
        source.close()
        raise EventSourceError(
            f"{source.__qualname__}() is a coroutine and yields no events. Write 'yield' in it,"
            f" or wait for what it returns: event_stream(await {source.__name__}())."
        )
    if isinstance(source, (str, bytes, bytearray, Mapping)) or not isinstance(
        source, (AsyncIterable, Iterable)
    ):
        raise EventSourceError(
            f"event_stream() takes a source of events, and not {source!r}. Write a generator, or"
            " for a single event a list: event_stream([event])."
        )
    return source


def _written(item: Any, dumps: Dumps) -> str:
    if isinstance(item, ServerSentEvent):
        return event_text(item, dumps)
    if isinstance(item, (str, dict, list)):
        return event_text(ServerSentEvent(item), dumps)
    raise EventSourceError(
        f"An event cannot be {item!r}, of the type {type(item).__name__}. Yield a str, a dict, a"
        f" list, or ServerSentEvent({item!r}), which sends anything as JSON."
    )


async def _texts(
    items: AsyncIterable[Any], write: Callable[[Any], str]
) -> AsyncGenerator[str, None]:
    iterator = aiter(items)
    try:
        async for item in iterator:
            yield write(item)
    finally:
        close: Any = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


class _Texts:
    """The texts of a synchronous source. It is closed even if nobody has begun to read."""

    def __init__(self, items: Iterator[Any], write: Callable[[Any], str]) -> None:
        self._items = items
        self._texts = map(write, items)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        return next(self._texts)

    def close(self) -> None:
        close: Any = getattr(self._items, "close", None)
        if close is not None:
            close()


class _UntilOver:
    """The texts of a stream, until the server stops: then it is closed, as if it was abandoned."""

    def __init__(self, stream: Generator[str, None, None], keep_alive: KeepAlive) -> None:
        self._texts = chain([keep_alive.opening], stream)
        self._is_over = keep_alive.is_over
        self.close = stream.close

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._is_over():
            self.close()
            raise StopIteration
        return next(self._texts)
