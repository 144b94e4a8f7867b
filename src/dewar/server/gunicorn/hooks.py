"""`GunicornHooks`: calls the hooks of a gunicorn file at the steps of this server."""

import faulthandler
import inspect
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import FrameType
from typing import NoReturn

from dewar.server.errors import SettingsError
from dewar.server.gunicorn.names import GUNICORN, Fate
from dewar.server.gunicorn.views import ServerView, WorkerView
from dewar.server.gunicorn.worker_user import WorkerUser
from dewar.server.processes.hooks import ServerHooks, call_logged
from dewar.server.proxies.middleware import Application

Hook = Callable[..., object]

# How a process ends whose hook for SIGABRT has been called; gunicorn's status.
_ABORTED = 1
_UNIX = "unix:"


def read_hooks(given: Mapping[str, object]) -> dict[str, Hook]:
    """Return the hooks among the settings of a file.

    A text is the path of a function, ``"module.function"``.

    Raises:
        SettingsError: A hook is not a function that takes the arguments of its step.
    """
    return {
        name: _checked(name, given[name])
        for name, known in GUNICORN.items()
        if known.fate is Fate.HOOK and given.get(name) is not None
    }


def _checked(name: str, value: object) -> Hook:
    note = GUNICORN[name].note
    wanted = note[: note.index(")") + 1]
    hook = _imported(name, value) if isinstance(value, str) else value
    count = wanted.count(",") + 1
    if callable(hook):
        # gunicorn's post_request may leave out its last one or two arguments.
        least = count - 2 if name == "post_request" else count
        for taken in range(count, least - 1, -1):
            if _takes(hook, taken):
                return hook if taken == count else _with_fewer(hook, taken)
    raise SettingsError(
        f"{name}={value!r} cannot be called with {wanted}. Write: def {name}{wanted}: …", name
    )


def _imported(name: str, path: str) -> object:
    module, _, function = path.rpartition(".")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"{name}={path!r} cannot be imported: {error}.", name) from error


def _takes(hook: Hook, count: int) -> bool:
    try:
        inspect.signature(hook).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True  # a function of C, which does not say
    return True


def _with_fewer(hook: Hook, count: int) -> Hook:
    return lambda *arguments: hook(*arguments[:count])


class GunicornHooks(ServerHooks):
    """Calls the functions of a file with a `ServerView` and a `WorkerView`.

    Args:
        functions: The functions by their names.
        server: The first argument of most of them.
        user: What workers become before they load the application.

    Attributes:
        worker: The worker of this process; None in the supervisor.
    """

    def __init__(self, functions: Mapping[str, Hook], server: ServerView, user: WorkerUser) -> None:
        self._functions = functions
        self._server = server
        self._user = user
        self._workers: dict[int, WorkerView] = {}
        self._age = 0
        self.worker: WorkerView | None = None

    def __repr__(self) -> str:
        return f"<GunicornHooks {', '.join(self._functions) or 'without functions'}>"

    def _call(self, name: str, *arguments: object) -> None:
        function = self._functions.get(name)
        if function is not None:
            function(*arguments)

    def starting(self, addresses: tuple[str, ...], wanted: int) -> None:
        """Call ``nworkers_changed``, ``on_starting`` and ``when_ready``, before any worker.

        Raises:
            StartError: The user of workers cannot get the UNIX sockets.
        """
        server = self._server
        server.pid, server.num_workers = os.getpid(), wanted
        server.address = [_as_gunicorn(address) for address in addresses]
        for address in server.address:
            if isinstance(address, str):
                self._user.own(address)
        self._call("nworkers_changed", server, wanted, None)
        self._call("on_starting", server)
        self._call("when_ready", server)

    def forking(self, number: int) -> None:
        """Call ``pre_fork``."""
        self._age += 1
        worker = self._workers[number] = WorkerView(self._age, self._server.cfg)
        self._call("pre_fork", self._server, worker)

    def forked(self, number: int, pid: int) -> None:
        """Note the process of the worker."""
        worker = self._workers[number]
        worker.pid = pid
        self._server.WORKERS[pid] = worker

    def worker_gone(self, number: int) -> None:
        """Call ``child_exit``."""
        worker = self._workers.pop(number)
        self._server.WORKERS.pop(int(worker.pid), None)
        self._call("child_exit", self._server, worker)

    def scaled(self, wanted: int) -> None:
        """Call ``nworkers_changed``."""
        former, self._server.num_workers = self._server.num_workers, wanted
        self._call("nworkers_changed", self._server, wanted, former)

    def reloading(self) -> None:
        """Call ``nworkers_changed``, though the number stays, as gunicorn does; ``on_reload``."""
        self.scaled(self._server.num_workers)
        self._call("on_reload", self._server)

    def ended(self) -> None:
        """Call ``on_exit``."""
        self._call("on_exit", self._server)

    def worker_started(self, number: int) -> None:
        """Call ``post_fork``, then become the user of workers.

        Raises:
            StartError: This process may not do that.
        """
        worker = self.worker = self._workers[number]
        worker.pid = os.getpid()
        self._call("post_fork", self._server, worker)
        self._user.become()

    def worker_ready(self, application: Application) -> None:
        """Call ``post_worker_init``."""
        worker = self._here()
        worker.wsgi, worker.booted = application, True
        if "worker_abort" in self._functions:
            # After the server has set up its own report of fatal signals.
            signal.signal(signal.SIGABRT, self._abort)
        self._call("post_worker_init", worker)

    def worker_interrupted(self) -> None:
        """Call ``worker_int``."""
        worker = self._here()
        worker.alive = False
        self._call("worker_int", worker)

    def worker_ending(self) -> None:
        """Call ``worker_exit``."""
        if self.worker is not None:
            self.worker.alive = False
            self._call("worker_exit", self._server, self.worker)

    def _here(self) -> WorkerView:
        if self.worker is None:
            raise RuntimeError(f"{self!r} was called for a worker in the supervisor.")
        return self.worker

    def _abort(self, _number: int, _frame: FrameType | None) -> NoReturn:
        """Call ``worker_abort`` and end: the supervisor has sent SIGABRT to a hung worker."""
        worker = self._here()
        worker.alive = False
        try:
            faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)
        except (OSError, ValueError, AttributeError):
            worker.log.warning("There is no standard error for the stacks of %r.", worker)
        call_logged(lambda: self._call("worker_abort", worker))
        call_logged(self.worker_ending)
        os._exit(_ABORTED)


def _as_gunicorn(address: str) -> tuple[str, int] | str:
    """Return a URL of the server as gunicorn has it: ``(host, port)``, or the path of a socket."""
    if address.startswith(_UNIX):
        return address.removeprefix(_UNIX)
    host, _, port = address.partition("://")[2].rpartition(":")
    return host.strip("[]"), int(port)
