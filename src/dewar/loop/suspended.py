"""`Suspended`: an answer that waits for the event loop.

A WSGI application holds the thread that called it until it returns its answer. An application
that finds `SUSPENDS` in the environ may return a `Suspended` instead: the rest of its work as a
coroutine (PEP 492), which has started and has stopped at one of two points.

- ``await ON_LOOP``: what follows runs on the event loop, in a task, where anything can be awaited.
- ``await OFF_LOOP``: what follows runs on a thread that may block, where nothing else is awaited.

Its result is what a WSGI application returns.

Middleware that does not know this sees an iterable, and then the thread waits.
"""

import sys
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from enum import Enum
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any

from dewar.loop.from_thread import run_coroutine
from dewar.loop.task_scope import current_scope

#: The key of the environ that says that a `Suspended` is understood.
SUSPENDS = "dewar.suspends"

Work = Coroutine[Any, Any, Iterable[bytes]]


class ResumeOn(Enum):
    """Where the next step of the work runs."""

    LOOP = "on the event loop, where anything can be awaited"
    THREAD = "on a thread that may block"

    def __await__(self) -> Generator["ResumeOn", None, None]:
        yield self


ON_LOOP, OFF_LOOP = ResumeOn.LOOP, ResumeOn.THREAD


class Suspended:
    """The rest of the work on an answer; one thread at a time has it.

    Attributes:
        is_wholly_async: Whether all of it can run on the loop.
        resume_on: Where the next step runs; None once the work is done.
        result: What a WSGI application returns, once the work is done.
    """

    __slots__ = ("_steps", "_waited", "is_wholly_async", "result", "resume_on")

    def __init__(self, steps: Work, resume_on: ResumeOn, is_wholly_async: bool) -> None:
        self.is_wholly_async = is_wholly_async
        self._steps = steps
        self._waited: Iterator[bytes] | None = None
        self.resume_on: ResumeOn | None = resume_on
        self.result: Iterable[bytes] = ()

    def __repr__(self) -> str:
        return f"<Suspended {self._steps!r}, {self.resume_on or 'done'}>"

    def __await__(self) -> Generator[Any, Any, None]:
        """Run on the loop until the work is done or has to leave it; its errors are raised."""
        step: Callable[[Any], Any] = self._steps.send
        argument: Any = None
        while True:
            try:  # PERF: `_step` without the call
                wanted = step(argument)
            except StopIteration as end:
                self.resume_on, self.result = None, end.value
                return
            except BaseException:
                self.resume_on = None
                raise
            if wanted is OFF_LOOP:
                self.resume_on = wanted
                return
            if wanted is ON_LOOP:
                step, argument = self._steps.send, None  # it is on the loop already
                continue
            try:
                argument = yield wanted
            except BaseException as error:  # noqa: BLE001  # the work handles it
                step, argument = self._steps.throw, error
            else:
                step = self._steps.send

    def resume(self) -> None:
        """Run on this thread until the work is done or needs the loop; its errors are raised."""
        self._step(self._steps.send, None)

    # For middleware that takes it for an iterable.

    def __iter__(self) -> Iterator[bytes]:
        self._waited = iter(self.wait())
        return self._waited

    def __next__(self) -> bytes:
        return next(self._waited or iter(self))

    def close(self) -> None:
        """Do the rest of the work, unless it is done, and close its result."""
        self.wait()
        close = getattr(self.result, "close", None)
        if close is not None:
            close()

    def __del__(self) -> None:
        if self.resume_on is None or sys.is_finalizing():
            return
        if getcoroutinestate(self._steps) == CORO_CREATED:
            self._steps.close()
        else:
            # Middleware gave another answer, and did not close this one (PEP 3333). Any other
            # application would have done its work by now.
            self.close()

    def wait(self) -> Iterable[bytes]:
        """Do the rest of the work; this thread waits for the loop. Return the result."""
        while self.resume_on is not None:
            if self.resume_on is ON_LOOP:
                run_coroutine(self._resume_on_loop)
            else:
                self.resume()
        return self.result

    async def _resume_on_loop(self) -> None:
        await self

    def _step(self, step: Callable[[Any], Any], argument: object) -> Any:
        """Run a step; return what it waits for."""
        try:
            wanted = step(argument)
        except StopIteration as end:
            self.resume_on, self.result = None, end.value
            return None
        except BaseException:
            self.resume_on = None
            raise
        if type(wanted) is ResumeOn:
            self.resume_on = wanted
        return wanted


def begin(steps: Work, is_wholly_async: bool = False) -> Iterable[bytes]:
    """Start *steps*; return their result, or a `Suspended` if they go on elsewhere."""
    try:
        resume_on = steps.send(None)
    except StopIteration as end:
        result: Iterable[bytes] = end.value
        return result
    return Suspended(steps, resume_on, is_wholly_async)


def wait_in_thread(steps: Work) -> Iterable[bytes]:
    """Return the result of *steps*; the calling thread waits for it."""
    before = current_scope.get()
    try:
        answer = begin(steps)
        return answer.wait() if type(answer) is Suspended else answer
    finally:
        # The thread keeps nothing of the request.
        current_scope.set(before)
