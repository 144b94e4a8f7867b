"""Waiting in a thread for a coroutine on the event loop."""

import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from dewar.loop.process_loop import process_loop
from dewar.loop.task_scope import TaskScope, current_scope

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[[], Coroutine[Any, Any, R]]

_MISSING: Any = object()


def run_coroutine(work: Work[R]) -> R:
    """Return the result of a coroutine; the calling thread waits for it.

    The coroutine sees the caller's context variables, and changes of them stay, as if it had run in
    the caller itself. It runs on the process's event loop, or on a new loop if the caller cannot
    wait for that one: see `maybe_other_thread`.

    Args:
        work: Makes the coroutine.

    Raises:
        BaseException: What the coroutine raised.
    """
    context = copy_context()
    try:
        return run_coroutine_in(context, work)
    finally:
        _copy_variables(context)


def to_sync(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Return a function that runs a coroutine function and waits for its result.

    See `run_coroutine`.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        # Called here, and only its coroutine runs on the loop: what traces a program wraps its
        # functions, and looks for the request on the thread that has called the app.
        coroutine = function(*args, **kwargs)
        return run_coroutine(lambda: coroutine)

    # `wraps` leaves it a plain function.
    return call


def run_coroutine_in(context: Context, work: Work[R]) -> R:
    """Return the result of a coroutine that runs in *context*, as `run_coroutine` does.

    Args:
        context: The coroutine runs in it, and nothing else may.
        work: Makes the coroutine.
    """
    apply = maybe_other_thread()
    if apply is None:
        return process_loop.run(work, context)
    result: R = apply(_run_alone, work, context)
    return result


@contextmanager
def scope_in_thread(name: object) -> Iterator[None]:
    """End the tasks that coroutines start in the block with the block; the thread waits for them.

    Args:
        name: The name of the block in log lines.
    """
    scope = TaskScope(name)
    before = current_scope.get()
    current_scope.set(scope)
    try:
        yield
    finally:
        current_scope.set(before)
        if scope:
            run_coroutine(scope.end)


def maybe_other_thread() -> Callable[..., Any] | None:
    """Return a function that calls another on another thread, if this one cannot wait for the loop.

    The loop's own thread cannot, and a greenlet cannot, because the other greenlets of its thread
    would wait too. Return None everywhere else.
    """
    if is_gevent_patched():
        # A thread that is made under gevent's patches is a greenlet too.
        pool = sys.modules["gevent"].get_hub().threadpool
        return lambda function, *args: pool.apply(function, args)
    return _on_a_thread if process_loop.is_here() else None


def is_gevent_patched() -> bool:
    """Return whether gevent has replaced threads with greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


@contextmanager
def one_other_thread() -> Iterator[Callable[..., Any]]:
    """Yield a function that calls others on one thread: gevent binds a loop to a thread."""
    if is_gevent_patched():
        pool = import_module("gevent.threadpool").ThreadPool(1)
        try:
            yield lambda function, *args: pool.apply(function, args)
        finally:
            pool.kill()
    else:
        with ThreadPoolExecutor(1, "dewar-own-loop") as executor:
            yield lambda function, *args: executor.submit(function, *args).result()


def _on_a_thread(function: Callable[..., R], *args: object) -> R:
    with one_other_thread() as apply:
        result: R = apply(function, *args)
        return result


def _run_alone(work: Work[R], context: Context) -> R:
    import asyncio  # here, for the reason in process_loop.py

    with asyncio.Runner() as runner:
        return runner.run(work(), context=context)


def _copy_variables(context: Context) -> None:
    for variable, value in context.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)
