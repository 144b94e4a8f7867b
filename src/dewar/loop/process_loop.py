"""`ProcessLoop`: the one event loop of a process, which runs on a thread of its own.

The thread begins when the first coroutine comes, and is the process's until its end: what
libraries keep for an event loop, such as pools of connections, is good for every request. It is a
daemon, so that it never keeps the process from ending; at the interpreter's exit what still runs
on it is cancelled.

A forked process begins with a loop of its own: of the parent's thread it has only the memory.

Every app imports this file, and few have coroutines. So asyncio, which takes longer to import than
all of this package, is imported with the first loop.
"""

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

from dewar.errors import DewarError

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")

_logger = logging.getLogger("dewar.server")

# What coroutines get to end after they were cancelled, at the end of the process, in seconds.
_LEAVE = 2.0


class LoopStateError(DewarError, RuntimeError):
    """Raised when the event loop's own thread is to wait for the loop."""


class LoopUser(Protocol):
    """What has work on the loop that is to end before the loop does."""

    def before_close(self) -> None:
        """End the work, or wait for it."""

    def __hash__(self) -> int: ...


class ProcessLoop:
    """An event loop on a thread of its own. Every method but `close` is safe from any thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._is_closing = False
        self._is_registered = False
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_awake = False
        # Weakly: the process outlives many an app, and must not collect what they leave.
        self._users: WeakSet[LoopUser] = WeakSet()

    def __repr__(self) -> str:
        kind = "not begun" if self._loop is None else type(self._loop).__name__
        return f"<ProcessLoop {kind} in process {os.getpid()}>"

    def get(self) -> "asyncio.AbstractEventLoop":
        """Return the loop, which runs."""
        loop = self._loop
        return self._begin() if loop is None else loop

    def is_here(self) -> bool:
        """Return whether the caller is on the loop's own thread."""
        return self._ident == threading.get_ident()

    def call_soon(self, function: Callable[..., object], *args: object) -> None:
        """Have *function* called on the loop's thread, in an empty context."""
        self._inbox.append((function, args))
        # PERF: waking the loop is a system call. Whoever finds it awake need not make one: it sets
        # the mark back before it empties the inbox.
        if not self._is_awake:
            self._is_awake = True
            # A copy of the caller's context would be kept, with the request in it, until then.
            self.get().call_soon_threadsafe(self._empty_inbox, context=Context())

    def run(self, work: Callable[[], Coroutine[Any, Any, R]], context: Context) -> R:
        """Run a coroutine on the loop; the calling thread waits for its result.

        Args:
            work: Makes the coroutine; called on the loop's thread.
            context: What it runs in; nobody else may be in it.

        Raises:
            LoopStateError: On the loop's own thread, which would wait for itself.
            BaseException: What the coroutine raised.
        """
        if self.is_here():
            raise LoopStateError("The event loop cannot wait for itself. Write: await work()")
        done: Future[R] = Future()
        tasks: list[asyncio.Task[None]] = []

        self.call_soon(self._begin_task, work, done, context, tasks)
        try:
            return done.result()
        except BaseException:
            # Ctrl-C, in the thread that waits: nobody wants the result any more.
            self.call_soon(partial(_cancel_all, tasks))
            raise
        finally:
            del done  # it holds the error, whose traceback holds this frame

    def add_user(self, user: LoopUser) -> None:
        """Tell *user*, if it is still there, before the loop is closed at the process's end."""
        with self._changing:
            self._users.add(user)
            self._register()

    def close(self, timeout: float = _LEAVE) -> None:
        """Cancel what runs, wait for it, and end the thread; a later call begins another.

        Args:
            timeout: Seconds that what was cancelled gets.
        """
        with self._changing:
            users = list(self._users)
        for user in users:
            user.before_close()
        with self._changing:
            loop, thread = self._loop, self._thread
            if loop is None or thread is None or self.is_here():
                return
            self._is_closing = True
        from dewar.loop.event_loop import end

        loop.call_soon_threadsafe(lambda: loop.create_task(end(loop, timeout)))
        thread.join(timeout + 1.0)
        with self._changing:
            self._loop = self._thread = None
            self._is_closing = False
            self._is_awake = False  # what has not come out of the inbox waits for the next call

    def forget(self) -> None:
        """Begin anew in a process that was forked: the loop is the parent's."""
        self.__init__()  # type: ignore[misc]  # the parent's lock may be held by a thread it alone has

    def _begin_task(
        self,
        work: Callable[[], Coroutine[Any, Any, R]],
        done: Future[R],
        context: Context,
        tasks: "list[asyncio.Task[None]]",
    ) -> None:
        import asyncio

        # It keeps what it raises to itself: an exit in a task would end the loop. And it is not
        # the request's, which would cancel at its end what it is waiting for.
        tasks.append(asyncio.Task(_tell(work, done), loop=self.get(), context=context))

    def _begin(self) -> "asyncio.AbstractEventLoop":
        with self._changing:
            if self._loop is None:
                from dewar.loop.event_loop import new_loop

                self._register()
                loop = new_loop()
                started = threading.Event()
                loop.call_soon(started.set)
                self._thread = threading.Thread(
                    target=lambda: Context().run(self._serve, loop), name="dewar-loop", daemon=True
                )
                self._thread.start()
                started.wait()
                self._loop = loop
            return self._loop

    def _empty_inbox(self) -> None:
        self._is_awake = False
        inbox = self._inbox
        while inbox:
            function, args = inbox.popleft()
            try:
                function(*args)
            except Exception:
                _logger.critical("Internal error in the server", exc_info=True)

    def _register(self) -> None:
        # Not at import: a process that the server forks begins without its parent's.
        if not self._is_registered:
            self._is_registered = True
            atexit.unregister(self.close)  # a child of a plain fork has inherited it
            atexit.register(self.close)

    def _serve(self, loop: "asyncio.AbstractEventLoop") -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        self._ident = threading.get_ident()
        while True:
            try:
                loop.run_forever()
            except BaseException:
                # asyncio lets a SystemExit or KeyboardInterrupt of a task through to here.
                _logger.critical("A task asked the event loop to end", exc_info=True)
            if self._is_closing:
                break
        self._ident = None
        asyncio.set_event_loop(None)
        loop.close()


async def _tell(work: Callable[[], Coroutine[Any, Any, R]], done: Future[R]) -> None:
    try:
        result = await work()
    except BaseException as error:  # noqa: BLE001  # raised where it is waited for
        done.set_exception(error)
    else:
        done.set_result(result)


def _cancel_all(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()


#: The loop of this process. It is the one thing that a process has one of.
process_loop = ProcessLoop()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process_loop.forget)
