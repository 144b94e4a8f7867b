"""Serving until a signal comes: what a command or ``app.run()`` calls."""

import signal
import socket
import ssl
import sys
import threading
from dataclasses import fields
from types import FrameType
from wsgiref.types import WSGIApplication

from dewar.server.errors import SettingsError
from dewar.server.server import Server
from dewar.server.settings import Settings

_SIGNALS = ("SIGINT", "SIGTERM")


def run(
    app: WSGIApplication,
    *,
    bind: str = "127.0.0.1:8000",
    threads: int = 16,
    name: str | None = None,
    **settings: float | str | bool | ssl.SSLContext | None,
) -> None:
    """Serve *app* until SIGINT or SIGTERM comes, and then finish what is in flight.

    A second signal ends it at once. Signals are heard on the main thread only; called on
    another one, this returns when the process ends.

    Args:
        app: Any WSGI callable.
        bind: ``"host:port"``, ``"[::1]:port"`` or ``"unix:/path"``; see `Settings`.
        threads: How many requests may be inside the application at a time.
        name: What the banner calls the application.
        settings: Every other field of `Settings`.

    Raises:
        SettingsError: A setting is out of its range.
        BindError: The address can not be listened on.
    """
    server = Server(app, make_settings(bind=bind, threads=threads, **settings))
    stop = _StopSignal()
    with stop:
        server.start()
        print(banner(server, name or describe(app)), file=sys.stderr, flush=True)  # noqa: T201
        stop.wait()
        stopper = threading.Thread(target=server.stop, name="dewar-stop", daemon=True)
        stopper.start()
        while stopper.is_alive() and not stop.second.wait(0.05):
            pass
        if stop.second.is_set():
            server.stop(0)
    print("Dewar stopped.", file=sys.stderr, flush=True)  # noqa: T201


def make_settings(**values: float | str | bool | ssl.SSLContext | None) -> Settings:
    """Return `Settings` from keyword arguments, with an error that lists what there is.

    Raises:
        SettingsError: There is no such setting, or its value is out of range.
    """
    known = {f.name for f in fields(Settings) if f.init}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise SettingsError(
            f"There is no setting {unknown[0]!r}. There are: {', '.join(sorted(known))}."
        )
    return Settings(**values)  # type: ignore[arg-type]  # Settings checks each value itself


def banner(server: Server, name: str) -> str:
    """Return the one line that tells where *server* is and how it works."""
    threads = server.settings.threads
    mode = "1 thread" if threads == 1 else f"{threads} threads"
    return f"Dewar serving {name} on {', '.join(server.addresses)} ({mode}) - Ctrl+C stops"


def describe(app: object) -> str:
    """Return ``module:name`` for *app*, or its type's where it has no name of its own."""
    named = app if hasattr(app, "__qualname__") else type(app)
    return f"{named.__module__}:{named.__qualname__}"


class _StopSignal:
    """Turns the first and the second stop signal into events, while it is entered.

    The system may hand a signal to any thread, and Python runs the handler on the main thread
    alone, which may sleep through it. So the main thread waits for the byte that every signal
    writes, on whatever thread it arrives (`signal.set_wakeup_fd`).
    """

    def __init__(self) -> None:
        self.first = threading.Event()
        self.second = threading.Event()
        self._former: dict[int, object] = {}
        self._former_fd = -1
        self._bytes: tuple[socket.socket, socket.socket] | None = None

    def wait(self) -> None:
        """Wait for the first signal, which no other thread than the main one ever sees."""
        if self._bytes is None:
            self.first.wait()
            return
        while not self.first.is_set():
            self._bytes[0].recv(16)

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._bytes = socket.socketpair()
        self._bytes[1].setblocking(False)
        self._former_fd = signal.set_wakeup_fd(self._bytes[1].fileno(), warn_on_full_buffer=False)
        for name in _SIGNALS:
            number = getattr(signal, name)
            self._former[number] = signal.signal(number, self._note)

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned
        if self._bytes is not None:
            signal.set_wakeup_fd(self._former_fd)
            for end in self._bytes:
                end.close()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        (self.second if self.first.is_set() else self.first).set()
