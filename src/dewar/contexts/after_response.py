"""`AfterResponses`: the work that an app does after a response has been sent.

Each piece of work has a copy of the request, as a job has (see `dewar.contexts.snapshot`). It may
read all of it after the request has ended.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from dewar.contexts.context import Context
from dewar.loop.background import BackgroundWork
from dewar.loop.call_queue import CallQueue
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import OFF_LOOP, ON_LOOP
from dewar.loop.task_scope import TaskScope, current_scope

if TYPE_CHECKING:
    from dewar.contexts.snapshot import Snapshot

#: The key of the environ for a list that receives the work, for tests.
BACKGROUND_WORK = "dewar.background_work"

# As many as concurrent.futures takes.
_THREADS = min(32, (os.cpu_count() or 1) + 4)
# The seconds that work gets at the interpreter's exit, if no server has given it time.
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
        """Do *work* after the response to the request of *context*.

        Raises:
            TypeError: If it cannot be called, or is a coroutine and has arguments.
        """
        if isinstance(work, Coroutine) or iscoroutinefunction(work):
            process_loop.get()  # now, because it cannot start at the interpreter's exit
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
        piece = _Work(work, args, kwargs, context._dewar_snapshot(), repr(context))
        item = BackgroundWork(piece.steps, copy_context(), self._calls, piece.discard)
        if context._dewar_background_work is None:
            context._dewar_background_work = []
            # It needs a `Response`: with this list the fast lane makes one.
            context._after_request_functions  # noqa: B018  # made by being asked for
        context._dewar_background_work.append(item)
        watching = (
            None if context._dewar_environ is None else context._dewar_environ.get(BACKGROUND_WORK)
        )
        if watching is not None:
            watching.append(item)

    def begin(self, background_work: Iterable[BackgroundWork]) -> None:
        """Start the work; a response calls this when it has been sent."""
        with self._changing:
            self._running.update(background_work)
            if self._process != os.getpid():
                self._process = os.getpid()
                process_loop.add_user(self)
        for item in background_work:
            item.begin(lambda item=item: self._forget(item))  # type: ignore[misc]  # bound here

    def drain(self, timeout: float) -> None:
        """Wait for the work that runs; cancel it after *timeout* seconds."""
        deadline = time.monotonic() + timeout
        with self._changing:
            running = list(self._running)
        late = [e for e in running if not e.wait(max(0.0, deadline - time.monotonic()))]
        for item in late:
            item.cancel()

    def before_close(self) -> None:
        """See `dewar.loop.process_loop.LoopUser`."""
        self.drain(_AT_EXIT)

    def _forget(self, item: BackgroundWork) -> None:
        with self._changing:
            self._running.discard(item)


@dataclass(frozen=True, slots=True)
class _Work:
    """One piece of work and the snapshot of its request."""

    _work: Callable[..., Any] | Coroutine[Any, Any, Any]
    _args: Collection[Any]
    _kwargs: Mapping[str, Any]
    _snapshot: "Snapshot"
    _request: str

    async def steps(self) -> None:
        """Do the work on the loop and on threads; log its errors."""
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
            from asyncio import CancelledError  # here, because most apps have no coroutines

            if isinstance(error, CancelledError):
                log.warning(
                    "%r, after the response of %s, was cancelled.", self._work, self._request
                )
            else:
                log.exception("%r, after the response of %s, failed", self._work, self._request)

    def discard(self) -> None:
        """Drop the work, because there is no response."""
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
