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
from dewar.tasks.engines.processes.messages import (
    FrameKind,
    Frames,
    frame,
    pack_error,
    pack_result,
)
from dewar.tasks.engines.settle import function_name
from dewar.tasks.progress import Progress, RunningJob, running
from dewar.tasks.serialization.context_transfer import call_in_context

_log = logging.getLogger("concurrent.futures")
_PIECE = 1 << 18


def serve(
    connection: "Connection[Any, Any]",
    initializer: Callable[..., object] | None,
    initargs: tuple[Any, ...],
) -> None:
    """Run the calls that arrive over the connection."""
    _detach_from_parent()
    parent = _Parent(connection.fileno())
    BackgroundThread("dewar-parent-watch", parent.exit_with_parent).start()
    # The parent may have died or closed the pool.
    with suppress(OSError):
        if _initialize(parent, initializer, initargs):
            parent.send(FrameKind.READY)
            for payload in parent.calls():
                parent.send(*_outcome(parent, payload))
    connection.close()


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

    def __init__(self, descriptor: int) -> None:
        self.is_busy = False
        #: The number of the job. A thread of an earlier job must not set its progress.
        self.number = 0
        self._descriptor = descriptor
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

    def exit_with_parent(self) -> None:
        """Kill the process group when the parent dies while a job runs.

        If the child is idle, the parent may also have closed the connection to end it: `calls`
        returns then.
        """
        poll = select.poll()
        poll.register(self._descriptor, 0)  # POLLHUP is always reported
        poll.poll()
        if self.is_busy:
            os.killpg(0, signal.SIGKILL)


def _outcome(parent: _Parent, payload: bytes) -> tuple[FrameKind, bytes]:
    try:
        function, args, kwargs, portable = pickle.loads(payload)  # noqa: S301  # from our parent
        name = function_name(function)
        report = partial(parent.send_progress, parent.number)
        token = running.set(RunningJob("", name, 1, report, parent.wait_for))
        try:
            result = call_in_context(portable, function, args, kwargs)
        finally:
            running.reset(token)
        return FrameKind.RESULT, pack_result(name, result)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is the job's outcome
        return FrameKind.ERROR, pack_error(error)
    finally:
        # Before the outcome is sent: after that the parent may close the connection at once.
        parent.is_busy = False


def _detach_from_parent() -> None:
    """Leave the parent's process group and reset the signal handlers."""
    with suppress(OSError):
        os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
