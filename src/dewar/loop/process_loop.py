"""`ProcessLoop`: the one event loop of a process, on its own thread.

The thread starts with the first coroutine and runs until the process ends. So the objects that
libraries keep for an event loop, such as pools of connections, are good for every request. The
thread never keeps the process from ending; work that still runs at the interpreter's exit is
cancelled.

A forked process starts its own loop: it has a copy of the parent's memory, but not its thread.

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
from dewar.support.background_thread import BackgroundThread

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")

_logger = logging.getLogger("dewar.server")

# The seconds that coroutines get after they are cancelled at the end of the process.
_LEAVE = 2.0


class LoopStateError(DewarError, RuntimeError):
    """Raised when the event loop's own thread would wait for the loop."""


class LoopUser(Protocol):
    """An object with work on the loop that has to end before the loop does."""

    def before_close(self) -> None:
        """End the work, or wait for it."""

    def __hash__(self) -> int: ...


class ProcessLoop:
    """An event loop on its own thread. Every method but `close` is safe from any thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._is_closing = False
        self._is_registered = False
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._is_awake = False
        # Weakly, because the process may outlive its apps.
        self._users: WeakSet[LoopUser] = WeakSet()

    def __repr__(self) -> str:
        kind = "not begun" if self._loop is None else type(self._loop).__name__
        return f"<ProcessLoop {kind} in process {os.getpid()}>"

    def get(self) -> "asyncio.AbstractEventLoop":
        """Return the running loop."""
        loop = self._loop
        return self._begin() if loop is None else loop

    def is_here(self) -> bool:
        """Return whether the caller is on the loop's own thread."""
        return self._ident == threading.get_ident()

    def call_soon(self, function: Callable[..., object], *args: object) -> None:
        """Call *function* soon on the loop's thread, in an empty context."""
        self._inbox.append((function, args))
        # PERF: waking the loop is a system call, which is not needed if the loop is awake. The loop
        # resets the flag before it empties the inbox.
        if not self._is_awake:
            self._is_awake = True
            # A copy of the caller's context would keep the request until then.
            self.get().call_soon_threadsafe(self._empty_inbox, context=Context())

    def run(self, work: Callable[[], Coroutine[Any, Any, R]], context: Context) -> R:
        """Run a coroutine on the loop; the calling thread waits for its result.

        Args:
            work: Makes the coroutine; called on the loop's thread.
            context: The coroutine runs in it, and nothing else may.

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
            # Ctrl-C in the thread that waits: the result is not needed any more.
            self.call_soon(partial(_cancel_all, tasks))
            raise
        finally:
            del done  # it holds the error, whose traceback holds this frame

    def add_user(self, user: LoopUser) -> None:
        """Call `before_close` of *user*, unless it is collected, before the loop is closed."""
        with self._changing:
            self._users.add(user)
            self._register()

    def close(self, timeout: float = _LEAVE) -> None:
        """Cancel all tasks, wait for them, and end the thread; a later call starts another.

        Args:
            timeout: The seconds that the cancelled tasks get.
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
            self._is_awake = False  # calls that are still in the inbox wait for the next one

    def forget(self) -> None:
        """Start anew in a forked process, which does not have the parent's loop."""
        self.__init__()  # type: ignore[misc]  # the lock may be held by a thread of the parent

    def _begin_task(
        self,
        work: Callable[[], Coroutine[Any, Any, R]],
        done: Future[R],
        context: Context,
        tasks: "list[asyncio.Task[None]]",
    ) -> None:
        import asyncio

        # It raises nothing, because an exit in a task would end the loop. It is not in the scope of
        # the request, which would cancel what it is waiting for.
        tasks.append(asyncio.Task(_tell(work, done), loop=self.get(), context=context))

    def _begin(self) -> "asyncio.AbstractEventLoop":
        with self._changing:
            if self._loop is None:
                from dewar.loop.event_loop import new_loop

                self._register()
                loop = new_loop()
                started = threading.Event()
                loop.call_soon(started.set)
                self._thread = BackgroundThread("dewar-loop", self._serve, loop)
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
        # Not at import: a process that the server forks registers for itself.
        if not self._is_registered:
            self._is_registered = True
            atexit.unregister(self.close)  # a forked process has inherited it
            atexit.register(self.close)

    def _serve(self, loop: "asyncio.AbstractEventLoop") -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        self._ident = threading.get_ident()
        while True:
            try:
                loop.run_forever()
            except BaseException:
                # asyncio passes on a SystemExit or KeyboardInterrupt of a task.
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


#: The loop of this process.
process_loop = ProcessLoop()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=process_loop.forget)
