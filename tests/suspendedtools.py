"""Asking an app as each kind of server asks it, and what came of it."""

import io
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context
from typing import Any, NamedTuple

from dewar.loop.async_body import AsyncBody
from dewar.loop.process_loop import process_loop
from dewar.loop.suspended import ON_LOOP, SUSPENDS, Suspended


class Outcome(NamedTuple):
    """What a request came to."""

    status: str | None
    fields: list[tuple[str, str]]
    body: bytes
    #: What was raised where the server was waiting.
    error: str | None


def make_environ(method: str = "GET", path: str = "/", **more: Any) -> dict[str, Any]:
    """Return the environ of a request without a body."""
    return {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": True,
        "wsgi.multiprocess": False, "wsgi.run_once": False, **more,
    }  # fmt: skip


class Asker:
    """One request, asked in the way that a method is named after.

    Args:
        app: The WSGI callable.
        environ: The request.
        threads: A single thread, which stands for those of a server's pool.

    Attributes:
        context: The variables of the request, which a server keeps from the next one.
    """

    def __init__(self, app: Any, environ: dict[str, Any], threads: ThreadPoolExecutor) -> None:
        self._app = app
        self._environ = environ
        self._threads = threads
        self.context = Context()
        self._began: list[tuple[str, list[tuple[str, str]]]] = []
        self._pieces: list[bytes] = []
        self._error: str | None = None

    def by_calling(self) -> Outcome:
        """As a server asks that knows nothing but WSGI."""
        with self._watched():
            self._off_loop(self._call_and_iterate)
        return self._outcome()

    def by_iterating(self) -> Outcome:
        """As middleware does, which takes what is suspended for an iterable."""
        self._environ[SUSPENDS] = True
        return self.by_calling()

    def by_suspending(self) -> Outcome:
        """As our own server does, to and fro between its threads and the loop."""
        self._environ[SUSPENDS] = True
        with self._watched():
            self._take(self._off_loop(self._app, self._environ, self._start_response))
        return self._outcome()

    def on_loop(self) -> Outcome | None:
        """As our own server does where the loop's thread leads; None where that is not for it."""
        self._environ[SUSPENDS] = True
        suspended = self._app.begin_on_loop(self._environ, self._start_response)
        if suspended is None:
            return None
        with self._watched():
            self._take(suspended)
        return self._outcome()

    def _start_response(
        self, status: str, fields: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        self._began.append((status, fields))
        return self._pieces.append

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # compared
            self._error = shown(error)

    def _off_loop(self, function: Callable[..., Any], *args: object) -> Any:
        return self._threads.submit(self.context.run, function, *args).result()

    def _call_and_iterate(self) -> None:
        self._iterate(self._app(self._environ, self._start_response))

    def _iterate(self, result: Any) -> None:
        try:
            self._pieces.extend(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _take(self, answer: Any) -> None:
        if type(answer) is Suspended:
            while answer.resume_on is not None:
                if answer.resume_on is ON_LOOP:
                    process_loop.run(lambda: _await(answer), self.context)
                else:
                    self._off_loop(answer.resume)
            answer = answer.result
        if type(answer) is AsyncBody:
            try:
                process_loop.run(lambda: answer.send_all(self._keep), self.context)
            finally:
                self._off_loop(answer.close)
        else:
            self._off_loop(self._iterate, answer)

    async def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def _outcome(self) -> Outcome:
        status, fields = self._began[-1] if self._began else (None, [])
        return Outcome(
            status, [_comparable(f) for f in fields], b"".join(self._pieces), self._error
        )


def shown(error: BaseException) -> str:
    """Return an error as text; only the kind of one whose words are the framework's own."""
    return "TypeError" if isinstance(error, TypeError) else f"{type(error).__name__}: {error}"


async def _await(suspended: Suspended) -> None:
    await suspended


def _comparable(field: tuple[str, str]) -> tuple[str, str]:
    name, value = field
    if name == "Allow":  # from a set, in whatever order
        return name, ", ".join(sorted(value.split(", ")))
    if name == "Set-Cookie":  # what follows the first dot is the time and its signature
        return name, value.split(".")[0]
    return field
