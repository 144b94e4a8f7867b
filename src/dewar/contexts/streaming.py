"""Keeping the request for a response that is produced while it is sent.

When the first piece is asked for, the view has returned and its context is popped. A generator
therefore runs in a copy of the whole `contextvars.Context` of that moment, with the view's stack of
contexts in it, which is entered for each step and left again. So the thread that sends the response
keeps nothing of the request between two steps, whether the stream ends, fails, or is abandoned.

An asynchronous generator runs in the task that iterates it, and gets the contexts for each
step.
"""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextvars import Context as ContextVars
from contextvars import copy_context
from functools import partial, update_wrapper
from typing import Any, TypeVar, overload

from dewar.contexts.context import Context
from dewar.contexts.current import contexts, current_request

T = TypeVar("T")


@overload
def stream_with_context(generator_or_function: Iterable[T]) -> Generator[T, None, None]: ...
@overload
def stream_with_context(generator_or_function: AsyncIterable[T]) -> AsyncIterator[T]: ...
@overload
def stream_with_context(
    generator_or_function: Callable[..., AsyncIterable[T]],
) -> Callable[..., AsyncIterator[T]]: ...
@overload
def stream_with_context(
    generator_or_function: Callable[..., Iterable[T]],
) -> Callable[..., Generator[T, None, None]]: ...
def stream_with_context(generator_or_function: Any) -> Any:
    """Return a generator, or a generator function, that still sees the current request.

    It may be asynchronous, in any view.

    ::

        @app.get("/stream")
        def stream():
            @stream_with_context
            def rows():
                yield f"Hello {request.args['name']}"

            return rows()

    Raises:
        UnboundError: If no request is being handled when the generator is made.
    """
    if hasattr(generator_or_function, "__aiter__"):
        return _async_steps(generator_or_function, current_request("stream_with_context"))
    try:
        items = iter(generator_or_function)
    except TypeError:
        pass  # it is a function
    else:
        return _steps(items, current_request("stream_with_context"))

    def decorated(*args: Any, **kwargs: Any) -> Any:
        return stream_with_context(generator_or_function(*args, **kwargs))

    return update_wrapper(decorated, generator_or_function)


def _steps(items: Iterator[T], request: Context) -> Generator[T, None, None]:
    stream = _run(items, request, contexts.reader(None))
    # Enter the try block, so that the iterator is closed even before its first step.
    next(stream)
    return stream


def _run(items: Iterator[Any], request: Context, stack: Any) -> Generator[Any, None, None]:
    close = getattr(items, "close", _nothing)
    try:
        yield None
    except GeneratorExit:
        # Nobody asked for a piece, as for HEAD: the view's end was the end of the request.
        _copy_with(stack).run(close)
        raise
    # Not before: hooks set context variables after the view, and the generator sees them.
    context = _copy_with(stack)
    end = _begin(request)
    error: BaseException | None = None
    try:
        while True:
            try:
                item = context.run(next, items)
            except StopIteration:
                return
            yield item
    except BaseException as failure:
        error = failure
        raise
    finally:
        context.run(_finish, close, request, end, error)


def _begin(request: Context) -> Callable[[], bool]:
    """Note that a stream of a request is read; return what notes its end.

    That returns whether it was the last one. A stream may be read in steps of another, as a
    streamed template is in a generator, and its end is not that of the request.
    """
    stream = object()
    # Of the request, and changed by single operations: threads may read streams of one request.
    streams: set[object] = vars(request).setdefault("_dewar_streams", set())
    streams.add(stream)

    def end() -> bool:
        streams.discard(stream)
        return not streams

    return end


def _copy_with(stack: Any) -> ContextVars:
    copied = copy_context()
    copied.run(contexts.writer, stack)
    return copied


def _finish(
    close: Callable[[], object],
    request: Context,
    end: Callable[[], bool],
    error: BaseException | None,
) -> None:
    """Close the iterator inside the request, and tell the teardown functions what ended it.

    That is None, an error of the iterator, or `GeneratorExit` if the stream was abandoned.
    """
    # The copied stacks still hold the request.
    request._dewar_uncover()
    try:
        close()
    except BaseException as failure:
        error = failure
        raise
    finally:
        # Not before: closing the iterator closes the streams in it.
        if end():
            request._dewar_uncover()
            _tear_down(request, error)


def _tear_down(request: Context, error: BaseException | None) -> None:
    """Run the teardown functions of a request that has ended."""
    contexts.writer(request._dewar_rest_of(contexts.state))
    app_context = request._dewar_app_context
    if app_context is request:
        was_preserved = request._dewar_may_own_app_context  # set by the next line
        request._dewar_preserve()
        request.push()
        try:
            request.pop(error)
        finally:
            if was_preserved:
                # A test client goes on with it.
                request._dewar_preserve()
        return
    app_context.push()
    try:
        request.push()
        request.pop(error)
    except BaseException as failure:
        error = failure
        raise
    finally:
        app_context.pop(error)


def _nothing() -> None:
    """Close what has nothing to close."""


def _async_steps(items: AsyncIterable[T], request: Context) -> AsyncIterator[T]:
    state = contexts.state
    return _run_async(aiter(items), request, state)


async def _run_async(items: AsyncIterator[Any], request: Context, state: Any) -> AsyncIterator[Any]:
    end = _begin(request)
    error: BaseException | None = None
    try:
        while True:
            # Each time: the next step, or the end, may be in another task.
            outside = contexts.state
            contexts.writer(state)
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            finally:
                state = contexts.state
                contexts.writer(outside)
            yield item
    except BaseException as failure:
        error = failure
        raise
    finally:
        outside = contexts.state
        contexts.writer(state)
        try:
            await _finish_async(items, request, end, error)
        finally:
            contexts.writer(outside)


async def _finish_async(
    items: AsyncIterator[Any],
    request: Context,
    end: Callable[[], bool],
    error: BaseException | None,
) -> None:
    import asyncio  # an event loop runs, so it is loaded

    try:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
    except BaseException as failure:
        error = failure
        raise
    finally:
        if end():
            # The teardown functions may block. A cancellation does not prevent them: it may come
            # while they wait for a thread, and tell once more that the client has gone.
            request._dewar_uncover()
            tear_down = partial(copy_context().run, _tear_down, request, error)
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, tear_down))
