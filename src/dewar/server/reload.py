"""Restart the server when the code changes, for development.

There are two processes: this one listens and watches the code; its child, started with the same
command line, serves on the sockets that it inherits, and never watches. So no client is refused
while the child is replaced. A child that has failed is started again at the next change; until then
this process answers with status 503.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import NoReturn

from dewar.server.errors import ServerError
from dewar.server.fallback_server import FallbackServer
from dewar.server.settings.settings import Settings
from dewar.server.system.listeners import close_listeners, open_listeners
from dewar.support.background_thread import BackgroundThread

#: The variables that mark the child. Programs written for Flask read the second one.
MARKS = ("DEWAR_RELOADED", "WERKZEUG_RUN_MAIN")
#: Passes the sockets to the child: the address that they are for, and their descriptors.
SOCKETS = "DEWAR_RELOAD_SOCKETS"
# How long a child may take to finish its requests after a change, in seconds.
STOP_TIMEOUT = 5.0
# How often the watcher returns without a change, in milliseconds.
_TICK = 200

# What the process that watches passes to the one that serves, and what ends it if none does.
_PASSED_ON = ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_ENDS = frozenset({"SIGHUP", "SIGQUIT"})

# Sets of (kind of change, path), from watchfiles.
Changes = Iterable[Iterable[tuple[object, str]]]


class ReloadUnavailableError(ServerError, RuntimeError):
    """Raised when the library that watches files is not installed."""

    def __init__(self) -> None:
        super().__init__("Restarting on changes needs watchfiles: pip install 'dewar-web[reload]'.")


def is_reloaded() -> bool:
    """Return whether this process is the child that serves."""
    return os.environ.get(MARKS[0]) == "true"


def can_reload() -> bool:
    """Return whether the library that watches files is installed."""
    return find_spec("watchfiles") is not None


def inherited_bind(bind: str) -> str:
    """Return *bind* for the server of this process: the sockets that it has inherited, if any.

    They are for the first server with that address. No child of this process gets them.
    """
    address, _, numbers = os.environ.get(SOCKETS, "").rpartition("=")
    if not numbers or address != bind:
        return bind
    del os.environ[SOCKETS]
    return ",".join(f"fd://{number}" for number in numbers.split(","))


class ChildSignals:
    """Passes signals to the child, which serves: the program's handlers run there.

    The handlers of this process are replaced. It ends by SIGTERM and Ctrl+C, and ends the child,
    which has its own handlers for that.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<ChildSignals of {self._child!r}>"

    def install(self) -> None:
        """Set the handlers; only on the main thread."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, self._leave)
        for name in _PASSED_ON:
            number = getattr(signal, name, None)
            # With nohup SIGHUP is ignored, and stays so.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._pass_on)

    def follow(self, start: "Callable[[], subprocess.Popen[bytes]]") -> "subprocess.Popen[bytes]":
        """Start a child, which gets the signals from now on, and return it."""
        self._child = start()
        return self._child

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        child = self._child
        if child is not None and child.poll() is None:
            child.send_signal(number)
        elif signal.Signals(number).name in _ENDS:
            self._leave(number, frame)

    def _leave(self, number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG002
        sys.exit(0)


def run_with_reload(
    settings: Settings,
    *,
    extra_files: Iterable[str] | None = None,
    exclude_patterns: Iterable[str] | None = None,
) -> NoReturn:
    """Run this process's command line again and again, once for each change to the code.

    When the child ends without a change, this process ends with its exit status.

    Args:
        settings: Where to listen, and the folder that is watched.
        extra_files: More files and folders to watch.
        exclude_patterns: Shell patterns of paths to ignore.

    Raises:
        ReloadUnavailableError: If watchfiles is not installed.
        BindError: If the address cannot be listened on.
    """
    if not can_reload():
        raise ReloadUnavailableError
    import watchfiles

    stop = threading.Event()
    extra = [Path(file).resolve() for file in extra_files or ()]
    counts = _code_filter(watchfiles.PythonFilter(), extra, tuple(exclude_patterns or ()))
    watched = watchfiles.watch(
        *roots(Path(settings.chdir or "."), sys.path),
        *(path for path in extra if path.exists()),
        watch_filter=counts,
        stop_event=stop,
        # An empty batch comes after each such time; after the first, changes are noticed.
        rust_timeout=_TICK,
        yield_on_timeout=True,
    )
    listeners = open_listeners(
        settings.bind, settings.backlog, settings.unix_mode, ipv6_only=settings.ipv6_only
    )
    signals = ChildSignals()
    if threading.current_thread() is threading.main_thread():
        signals.install()
    numbers = [each.fileno() for each in listeners]
    try:
        start = partial(signals.follow, partial(_start_child, settings.bind, numbers))
        fallback = FallbackServer(listeners, settings)
        sys.exit(_supervise(start, watched, stop, fallback, _say))
    finally:
        close_listeners(listeners)


def roots(folder: Path, path: Iterable[str]) -> list[Path]:
    """Return the folders with the user's own code: the working directory and what is importable.

    Args:
        folder: The working directory.
        path: The import path; folders of Python and of installed packages are left out.
    """
    installed = [Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)]
    found: list[Path] = []
    for candidate in (folder, *(Path(entry) for entry in path if entry)):
        resolved = candidate.resolve()
        if not resolved.is_dir() or resolved == Path(resolved.anchor):
            continue
        if any(resolved.is_relative_to(prefix / "lib") for prefix in installed):
            continue
        if "site-packages" in resolved.parts:
            continue
        if not any(resolved.is_relative_to(known) for known in found):
            found = [known for known in found if not known.is_relative_to(resolved)]
            found.append(resolved)
    return found


def _code_filter(
    is_code: Callable[..., bool], extra: list[Path], excluded: tuple[str, ...]
) -> Callable[..., bool]:
    """Return a function that returns whether a change matters."""

    def counts(change: object, path: str) -> bool:
        if any(fnmatch(path, pattern) for pattern in excluded):
            return False
        return is_code(change, path) or any(Path(path).is_relative_to(file) for file in extra)

    return counts


def _supervise(
    start: Callable[[], "subprocess.Popen[bytes]"],
    changes: Changes,
    stop: threading.Event,
    fallback: FallbackServer,
    say: Callable[[str], None],
) -> int:
    """Run one child at a time, a new one after each change; return the exit status.

    The first batch is empty. No child starts before it comes, so that no change is missed.
    """
    batches = iter(changes)
    next(batches, None)
    while True:
        child, told = start(), threading.Event()
        waiter = BackgroundThread("dewar-reload", _follow_child, child, told, stop, fallback)
        waiter.start()
        changed = None
        try:
            changed = next(filter(None, batches), None)
        except KeyboardInterrupt:
            pass  # the child gets Ctrl+C too
        finally:
            # Also if this process is stopped: no child is left behind.
            told.set()
            ended_before = child.poll()
            _end(child, None if changed is None else STOP_TIMEOUT)
            waiter.join()
            fallback.stop()
        if changed is None:
            status = child.returncode if ended_before is None else ended_before
            return 0 if _is_told(status) else status
        say(f"{_first_name(changed)} has changed, restarting")


def _follow_child(
    child: "subprocess.Popen[bytes]",
    told: threading.Event,
    stop: threading.Event,
    fallback: FallbackServer,
) -> None:
    # A child that ends as it was told to, after Ctrl+C for instance, ends this process too. After a
    # failure this process answers, and waits for a change.
    status = child.wait()
    if told.is_set():
        return
    if _is_told(status):
        stop.set()
    else:
        fallback.start(
            f"The app has ended with status {status}. Its error is in the terminal of the server."
            " It is started again when its code changes."
        )


def _is_told(status: int) -> bool:
    """Return whether a child has ended because a signal told it to.

    A terminal sends a signal to all its processes, and this one passes it on. So the child may get
    it once more when it has ended its server, and has no handler any more.
    """
    return status == 0 or any(-status == getattr(signal, name, None) for name in _ENDS)


def _end(child: "subprocess.Popen[bytes]", timeout: float | None) -> None:
    """End the child, in *timeout* seconds if it is to be replaced; else it has a limit itself."""
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    except BaseException:
        child.terminate()  # a second signal, which is for the child too
        child.wait()
        raise


def _start_child(bind: str, numbers: list[int]) -> "subprocess.Popen[bytes]":
    # The command that started this process: python -m ..., a script, a console script.
    command = [sys.executable, *sys.orig_argv[1:]]
    variables = {**dict.fromkeys(MARKS, "true"), SOCKETS: f"{bind}={','.join(map(str, numbers))}"}
    return subprocess.Popen(  # noqa: S603  # our own command line
        command, env={**os.environ, **variables}, pass_fds=numbers
    )


def _first_name(changes: Iterable[tuple[object, str]]) -> str:
    return min(path for _, path in changes)


def _say(text: str) -> None:
    print(f"Dewar: {text}", file=sys.stderr, flush=True)  # noqa: T201
