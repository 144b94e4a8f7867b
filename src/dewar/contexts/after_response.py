"""`AfterResponses`: what an app does when an answer has been sent.

Each piece of work carries the request as a job does (see `dewar.contexts.snapshot`): it may read
all of it, and outlives it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextvars import copy_context
from inspect import iscoroutinefunction
from typing import Any

from dewar.contexts.context import Context
from dewar.contexts.snapshot import Snapshot
from dewar.loop.background import BackgroundWork
from dewar.loop.call_queue import CallQueue
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import OFF_LOOP, ON_LOOP
from dewar.loop.task_scope import TaskScope, current_scope

#: The key of the environ for a list, if somebody wants to know what begins after the response.
BACKGROUND_WORK = "dewar.background_work"

# As many as concurrent.futures takes.
_THREADS = min(32, (os.cpu_count() or 1) + 4)
# What work gets to end in at the interpreter's exit, where no server has given it time, in seconds.
_AT_EXIT = 10.0


class AfterResponses:
    """The work of one app after its responses."""

    def __init__(self) -> None:
        self._calls = CallQueue("dewar-after-response", _THREADS)
        self._changing = threading.Lock()
        self._running: set[BackgroundWork] = set()
        self._process: int | None = None

    def __repr__(self) -> str:
        return f"<AfterResponses, {len(self._running)} at work>"

    def add(
        self,
        context: Context,
        work: Callable[..., Any] | Coroutine[Any, Any, Any],
        args: Collection[Any],
        kwargs: Mapping[str, Any],
    ) -> None:
        """Have *work* done after the response to the request of *context*.

        Raises:
            TypeError: It cannot be called, or is a coroutine and has arguments.
        """
        if isinstance(work, Coroutine) or iscoroutinefunction(work):
            process_loop.get()  # now: at the interpreter's exit it could not begin any more
        if isinstance(work, Coroutine):
            if args or kwargs:
                raise TypeError(
                    f"{work!r} is a coroutine: it has its arguments already. Write:"
                    " app.after_response(work(1)) or app.after_response(work, 1)."
                )
        elif not callable(work):
            raise TypeError(
                f"{work!r} cannot be called. Give a function or a coroutine, not what it returned:"
                " app.after_response(work, 1)."
            )
        piece = _Work(work, args, kwargs, context.snapshot(), repr(context))
        item = BackgroundWork(piece.steps, copy_context(), self._calls, piece.discard)
        if context.background_work is None:
            context.background_work = []
            # A plain answer cannot carry it: the request gets a response as if it had such.
            context._after_request_functions  # noqa: B018, SLF001  # made by being asked for
        context.background_work.append(item)
        watching = None if context.environ is None else context.environ.get(BACKGROUND_WORK)
        if watching is not None:
            watching.append(item)

    def begin(self, background_work: Iterable[BackgroundWork]) -> None:
        """Begin with what was added; a response calls it when it has been sent."""
        with self._changing:
            self._running.update(background_work)
            if self._process != os.getpid():
                self._process = os.getpid()
                process_loop.add_user(self)
        for item in background_work:
            item.begin(lambda item=item: self._forget(item))  # type: ignore[misc]  # bound here

    def drain(self, timeout: float) -> None:
        """Wait for what runs; after *timeout* seconds cancel it."""
        deadline = time.monotonic() + timeout
        with self._changing:
            running = list(self._running)
        late = [e for e in running if not e.wait(max(0.0, deadline - time.monotonic()))]
        for item in late:
            item.cancel()

    def before_close(self) -> None:
        """See `dewar.server.loop.process_loop.LoopUser`."""
        self.drain(_AT_EXIT)

    def _forget(self, item: BackgroundWork) -> None:
        with self._changing:
            self._running.discard(item)


class _Work:
    """One piece of work and what it carries."""

    def __init__(
        self,
        work: Callable[..., Any] | Coroutine[Any, Any, Any],
        args: Collection[Any],
        kwargs: Mapping[str, Any],
        snapshot: Snapshot,
        request: str,
    ) -> None:
        self._work = work
        self._args = args
        self._kwargs = kwargs
        self._snapshot = snapshot
        self._request = request

    async def steps(self) -> None:
        """Do it, between the loop and threads; its errors are logged."""
        scope = TaskScope(self._work)
        current_scope.set(scope)
        log: logging.Logger = self._snapshot.app.logger  # type: ignore[attr-defined]  # every app has one
        try:
            with self._snapshot.opened():
                work = self._work
                returned = work(*self._args, **self._kwargs) if callable(work) else work
                if isinstance(returned, Coroutine):
                    await _await(returned, scope)
        except BaseException as error:
            from asyncio import CancelledError  # most apps have no coroutines, and do without

            if isinstance(error, CancelledError):
                log.warning(
                    "%r, after the response of %s, was cancelled.", self._work, self._request
                )
            else:
                log.exception("%r, after the response of %s, failed", self._work, self._request)

    def discard(self) -> None:
        """Don't do it: there is no response."""
        if isinstance(self._work, Coroutine):
            self._work.close()


async def _await(coroutine: Coroutine[Any, Any, Any], scope: TaskScope) -> None:
    await ON_LOOP
    is_cut_off = True
    try:
        await coroutine
        is_cut_off = False
    finally:
        await scope.end(is_cut_off)
        await OFF_LOOP
