"""`serve`: runs jobs in a child process, one by one, until the parent closes the connection.

The child leads a process group, so that it can be killed together with the processes that its job
has started. If the parent dies, the running job is killed, because another process may run it
again.
"""

import json
import logging
import os
import pickle
import select
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from threading import Lock
from traceback import format_exc
from typing import Any

from dewar.support.background_thread import BackgroundThread
from dewar.tasks.engines.processes.control import JobControl
from dewar.tasks.engines.processes.memory import resident_memory
from dewar.tasks.engines.processes.messages import (
    FrameKind,
    Frames,
    frame,
    pack_error,
    pack_number,
    pack_result,
    unpack_number,
)
from dewar.tasks.interruptible import Interruptible
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.raisers import SignalRaiser
from dewar.tasks.serialization.context_transfer import call_in_context

_log = logging.getLogger("concurrent.futures")
_PIECE = 1 << 18


def serve(
    connection: "Connection[Any, Any]",
    control: "Connection[Any, Any]",
    reports_memory: bool,
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
) -> None:
    """Run the calls that arrive over the connection.

    Args:
        connection: Calls come in, outcomes go out.
        control: What the parent says about the job that runs comes in.
        reports_memory: Whether to say with each outcome how much memory this process has.
        initializer: Called before the first job.
        initargs: The arguments of the initializer.
    """
    _detach_from_parent()
    parent = _Parent(connection.fileno(), control.fileno(), SignalRaiser())
    BackgroundThread("dewar-parent-watch", parent.watch).start()
    # The parent may have died or closed the pool.
    with suppress(OSError):
        if _initialize(parent, initializer, initargs):
            parent.send(FrameKind.READY)
            _run_calls(parent, reports_memory)
    connection.close()


def _run_calls(parent: "_Parent", reports_memory: bool) -> None:
    for payload in parent.calls():
        outcome = _outcome(parent, payload)
        if reports_memory:
            parent.send(FrameKind.MEMORY, pack_number(resident_memory()))
        parent.send(*outcome)
        # Otherwise it would live until the next one.
        del outcome


def _initialize(
    parent: "_Parent", initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
) -> bool:
    if initializer is None:
        return True
    try:
        initializer(*initargs)
    except BaseException:  # noqa: BLE001  # it is logged and sent
        _log.critical("Exception in initializer:", exc_info=True)
        parent.send(FrameKind.BROKEN, format_exc().encode())
        return False
    return True


class _Parent:
    """The connection to the parent. Any thread of a job may send its progress."""

    def __init__(self, descriptor: int, control_descriptor: int, raiser: SignalRaiser) -> None:
        self.is_busy = False
        #: The number of the job. A thread of an earlier job must not set its progress.
        self.number = 0
        self.control = JobControl()
        self.raiser = raiser
        self._descriptor = descriptor
        self._control_descriptor = control_descriptor
        self._lock = Lock()

    def send(self, kind: FrameKind, payload: bytes = b"") -> None:
        rest = memoryview(frame(kind, payload))
        with self._lock:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def calls(self) -> Iterator[bytes]:
        frames = Frames()
        while data := os.read(self._descriptor, _PIECE):
            for _, payload in frames.feed(data):
                self.is_busy = True
                self.number += 1
                yield payload

    def send_progress(self, number: int, progress: Progress) -> None:
        if number != self.number or not self.is_busy:
            return
        data = json.dumps([progress.fraction, progress.message]).encode()
        self.send(FrameKind.PROGRESS, data)

    def wait_for(self, job: Any) -> None:
        """Wait for a job of the ledger, and say so: the parent knows if all processes do."""
        self.send(FrameKind.WAIT, job.id.encode())
        with suppress(CancelledError):
            Future.exception(job)
        self.send(FrameKind.WAIT)

    def watch(self) -> None:
        """Pass on what the parent says about the job that runs, until the parent is gone.

        If it dies while a job runs, kill the process group. If the child is idle, the parent may
        also have closed the connection to end it: `calls` returns then.
        """
        poll = select.poll()
        poll.register(self._descriptor, 0)  # POLLHUP is always reported
        poll.register(self._control_descriptor, select.POLLIN)
        frames = Frames()
        while all(descriptor != self._descriptor for descriptor, _ in poll.poll()):
            data = os.read(self._control_descriptor, _PIECE)
            if not data:
                poll.unregister(self._control_descriptor)
            for kind, payload in frames.feed(data):
                self.control.receive(kind, unpack_number(payload))
        if self.is_busy:
            os.killpg(0, signal.SIGKILL)


def _outcome(parent: _Parent, payload: bytes) -> tuple[FrameKind, bytes]:
    try:
        function, args, kwargs, portable, known = pickle.loads(payload)  # noqa: S301  # from our parent
        name, soft_timeout, is_stored = known
        job = Interruptible(name, soft_timeout, lambda: parent.raiser)
        report = partial(parent.send_progress, parent.number)
        parent.control.begin(parent.number, job)
        token = running.set(RunningJob("", name, 1, job, report, parent.wait_for))
        try:
            called = function if is_stored else job.guard(function)
            result = call_in_context(portable, called, args, kwargs)
        finally:
            running.reset(token)
            parent.control.end()
        return FrameKind.RESULT, pack_result(name, result)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the job's outcome
        return FrameKind.ERROR, pack_error(error)
    finally:
        # Before the outcome is sent: after that the parent may close the connection at once.
        parent.is_busy = False


def _detach_from_parent() -> None:
    """Leave the parent's process group, and leave it to the parent when to end."""
    with suppress(OSError):
        os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # systemd, for instance, signals each process of a service. The parent is told as well: its jobs
    # have time to end. A handler rather than SIG_IGN, which the programs of a job would inherit.
    signal.signal(signal.SIGTERM, partial(_ignore_stop, os.getpid()))


def _ignore_stop(pid: int, number: int, _frame: object) -> None:
    """Ignore a signal, but for a process that the job has forked: the signal ends that one."""
    if os.getpid() != pid:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
