"""`Suspended`: an answer that waits for the event loop, and what it waits for.

A WSGI application returns its answer, and until then it holds the thread that called it. An
application that finds `SUSPENDS` in the environ may return a `Suspended` instead: the rest of its
work as a coroutine (PEP 492), which was begun and has stopped at one of two things.

- ``await OnLoop(coroutine)`` runs a coroutine on the event loop and gives its result. What follows
  runs on the loop's thread too.
- ``await OFF_LOOP`` has what follows run on a thread that may block.

Its result is what a WSGI application returns. Nothing else may be awaited in it.

Middleware that knows nothing of this sees an iterable: then the thread waits after all.
"""

from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from typing import Any

from dewar.server.errors import ServerStateError
from dewar.server.loop.waiting import wait_for

__all__ = ["OFF_LOOP", "SUSPENDS", "OnLoop", "Suspended", "begin"]

#: The key of the environ that says that a `Suspended` is understood.
SUSPENDS = "dewar.suspends"

Work = Coroutine[Any, Any, Iterable[bytes]]


class OnLoop:
    """Awaited: has *coroutine* run on the event loop, and gives its result."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator["OnLoop", Any, Any]:
        return (yield self)


class _OffLoop:
    """Awaited: has what follows run on a thread that may block."""

    __slots__ = ()

    def __await__(self) -> Generator["_OffLoop", Any, None]:
        yield self

    def __repr__(self) -> str:
        return "OFF_LOOP"


OFF_LOOP = _OffLoop()
Wanted = OnLoop | _OffLoop


class Suspended:
    """The rest of the work on an answer; one thread at a time has it.

    Attributes:
        wanted: What it waits for; None once it is done.
        result: What a WSGI application returns, once it is done.
    """

    __slots__ = ("_steps", "_waited", "result", "wanted")

    def __init__(self, steps: Work, wanted: Wanted) -> None:
        self._steps = steps
        self._waited: Iterator[bytes] | None = None
        self.wanted: Wanted | None = wanted
        self.result: Iterable[bytes] = ()

    def __repr__(self) -> str:
        return f"<Suspended {self._steps!r}, {self.wanted or 'done'}>"

    def go_on(self, value: object = None) -> None:
        """Go on with what was waited for; what the work raises is raised."""
        self._step(self._steps.send, value)

    def go_wrong(self, error: BaseException) -> None:
        """Go on with the error of what was waited for; what the work raises is raised."""
        self._step(self._steps.throw, error)

    # For whoever takes it for an iterable.

    def __iter__(self) -> Iterator[bytes]:
        self._wait()
        self._waited = iter(self.result)
        return self._waited

    def __next__(self) -> bytes:
        return next(self._waited or iter(self))

    def close(self) -> None:
        """Do the rest of the work, unless it is done, and close its result."""
        if self.wanted is not None:
            self.go_wrong(ServerStateError("Nobody asked for the answer that was waited for."))
            self._wait()
        close = getattr(self.result, "close", None)
        if close is not None:
            close()

    def _wait(self) -> None:
        while (wanted := self.wanted) is not None:
            if type(wanted) is not OnLoop:
                self.go_on()
                continue
            try:
                value = wait_for(lambda: wanted.coroutine)
            except BaseException as error:  # noqa: BLE001  # the work decides what becomes of it
                self.go_wrong(error)
            else:
                self.go_on(value)

    def _step(self, step: Callable[[Any], Any], argument: object) -> None:
        try:
            self.wanted = step(argument)
        except StopIteration as end:
            self.wanted, self.result = None, end.value
        except BaseException:
            self.wanted = None
            raise


def begin(steps: Work) -> Iterable[bytes]:
    """Begin with *steps*; return their result, or a `Suspended` where they wait for something."""
    try:
        wanted = steps.send(None)
    except StopIteration as end:
        result: Iterable[bytes] = end.value
        return result
    return Suspended(steps, wanted)
