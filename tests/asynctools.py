"""Gates for views that run as coroutines, and an app whose views wait at them."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import Any

from dewar import Dewar, request
from dewar.loop.process_loop import process_loop
from dewar.server.connection.connection import Connection
from dewar.server.threads.pool import Pool
from servertools import Client, Served

REQUEST = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 20.0


class Gates:
    """Named places where coroutines and threads wait until the test lets them go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._for_tasks: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._for_threads: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._entered: defaultdict[str, threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(0)
        )
        self._seen: list[str] = []

    async def wait(self, name: str) -> None:
        """Wait as a coroutine."""
        with self._lock:
            event = self._for_tasks[name]
        self.note(name)
        await event.wait()

    def hold(self, name: str) -> None:
        """Wait as a thread does, and keep it."""
        with self._lock:
            event = self._for_threads[name]
        self.note(name)
        if not event.wait(PATIENCE):
            raise TimeoutError(f"nobody opened the gate {name!r}")

    def note(self, name: str) -> None:
        """Say that something has come so far."""
        with self._lock:
            self._seen.append(name)
            self._entered[name].release()

    def entered(self, name: str) -> None:
        """Wait until somebody is at the gate, or has noted *name*; once for each who does."""
        with self._lock:
            come = self._entered[name]
        if not come.acquire(timeout=PATIENCE):
            raise TimeoutError(f"nobody came to the gate {name!r}; seen: {self.seen()}")

    def seen(self) -> list[str]:
        """Return who has come so far, in order."""
        with self._lock:
            return list(self._seen)

    def open(self, name: str) -> None:
        """Let everybody pass this gate from now on."""
        with self._lock:
            task, thread = self._for_tasks[name], self._for_threads[name]
        thread.set()
        process_loop.call_soon(task.set)

    def open_all(self) -> None:
        """Let everybody pass the gates that are there."""
        with self._lock:
            names = [*self._for_tasks, *self._for_threads]
        for name in names:
            self.open(name)


def gated_app(gates: Gates, **config: Any) -> Dewar:
    """Return an app with a view for each way to wait, and for each way not to."""
    app = Dewar("gated", static_folder=None)
    app.config.update(config)

    @app.get("/quick/<name>")
    async def quick(name: str) -> str:
        return name

    @app.get("/wait/<name>")
    async def wait(name: str) -> str:
        await gates.wait(name)
        return name

    @app.get("/block/<name>")
    async def block(name: str) -> str:
        gates.hold(name)  # what a coroutine must not do: it blocks the loop
        return name

    @app.get("/later-block/<name>")
    async def later_block(name: str) -> str:
        await asyncio.sleep(0)
        gates.hold(name)
        return name

    @app.get("/sync/<name>")
    def sync(name: str) -> str:
        return name

    @app.get("/hold/<name>")
    def hold(name: str) -> str:
        gates.hold(name)
        return name

    @app.post("/echo")
    async def echo() -> bytes:
        await asyncio.sleep(0)
        return request.get_data()

    @app.get("/stream/<name>")
    async def stream(name: str) -> AsyncIterator[str]:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                await gates.wait(f"{name}{number}")
                yield f"{name}{number};"

        return pieces()

    return app


def begin(served: Served, gates: Gates, kind: str, name: str) -> Client:
    """Send a request whose view is then known to be at its gate."""
    client = served.client()
    client.send(REQUEST % f"/{kind}/{name}".encode())
    gates.entered(name)
    return client


def pool_of(served: Served) -> Pool:
    """Return the threads of a server."""
    pool: Pool = served.server._backend._pool  # type: ignore[attr-defined]
    return pool


def connections_of(served: Served) -> list[Connection]:
    """Return all connections of a server, the suspended ones too."""
    connections = pool_of(served)._connections
    return [*connections.open.values(), *connections.suspended.values()]


def on_loop(function: Callable[[], Any]) -> Any:
    """Return what a function returns that is called on the loop's thread, outside of any task."""
    returned: Future[Any] = Future()

    def call() -> None:
        try:
            returned.set_result(function())
        except BaseException as error:
            returned.set_exception(error)

    process_loop.call_soon(call)
    return returned.result(PATIENCE)


def tasks_left() -> set[Any]:
    """Return the tasks on the loop."""
    return on_loop(asyncio.all_tasks)  # type: ignore[no-any-return]


def lead_on_loop(served: Served) -> Client:
    """Have the loop's thread lead; the client that made it so."""
    client = served.client()
    leadership = pool_of(served)._leadership
    for _ in range(2000):
        assert client.get("/quick/x")[2] == b"x"
        if leadership.is_on_loop:
            return client
    raise AssertionError("the loop's thread never led")
