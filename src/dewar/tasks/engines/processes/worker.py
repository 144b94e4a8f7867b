"""`ProcessWorker`: a child process, seen from the manager's thread. No other thread uses it."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from enum import Enum
from multiprocessing.context import BaseContext
from typing import Any

from dewar.tasks.engines.processes.backlog import WorkItem
from dewar.tasks.engines.processes.child import serve
from dewar.tasks.engines.processes.messages import FrameKind, Frames, frame, pack_number
from dewar.tasks.errors import JobTimeout

_PIECE = 1 << 20


class ProcessWorkerState(Enum):
    """The state of a child process.

    Its changes: STARTING → IDLE ⇄ BUSY; from IDLE and STARTING to RETIRING; from any to KILLED.
    """

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    #: Its connection is closed, so it exits.
    RETIRING = "retiring"
    KILLED = "killed"


class ProcessWorker:
    """A child process with its connection and the job that it runs.

    Args:
        context: How it is started.
        reports_memory: Whether it says after each job how much memory it has.
        initializer: Called in it before its first job.
        initargs: The arguments of the initializer.
    """

    def __init__(
        self,
        context: BaseContext,
        reports_memory: bool,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        self.state = ProcessWorkerState.STARTING
        #: The job that it runs, or ran when it was killed.
        self.item: WorkItem | None = None
        #: When it is killed, on the manager's clock.
        self.deadline: float | None = None
        #: The outcome of its job if it is killed then, or dies; None for `WorkerDied`.
        self.deadline_outcome: BaseException | None = None
        self.exit_outcome: BaseException | None = None
        #: When its job is told that its soft limit is over.
        self.soft_deadline: float | None = None
        #: Whether it gets no job after the present one, and another takes its place.
        self.is_leaving = False
        #: How much it had after its last job, in bytes; 0 if it does not say.
        self.memory = 0
        #: Why its initializer failed. The pool breaks when the process has exited.
        self.startup_error: str | None = None
        self.jobs_done = 0
        #: The id of the job that its job waits for; empty for none.
        self.awaits = ""
        self._frames = Frames()
        self._unsent = memoryview(b"")
        self._connection, child_end = context.Pipe()
        # Apart from the other, on which the child reads no message while a job runs.
        control_end, self._control = context.Pipe(duplex=False)
        self._child_ends = (child_end, control_end)
        self._process: Any = context.Process(  # type: ignore[attr-defined]  # each context has one
            target=serve,
            args=(*self._child_ends, reports_memory, initializer, initargs),
            name="dewar-task-worker",
        )
        #: Readable when the process has ended.
        self.exit_fd = -1

    @property
    def connection(self) -> int:
        """The descriptor of the connection."""
        return self._connection.fileno()

    def start(self) -> None:
        """Start the process.

        Raises:
            Exception: If it cannot be started. Then its descriptors are closed.
        """
        try:
            self._process.start()
        except BaseException:
            self._close_connections()
            raise
        finally:
            for end in self._child_ends:
                end.close()
        os.set_blocking(self.connection, False)
        os.set_blocking(self._control.fileno(), False)
        self.exit_fd = _exit_fd_of(self._process)

    def assign(self, item: WorkItem, now: float) -> None:
        """Send it a job to run."""
        self.state = ProcessWorkerState.BUSY
        self.item = item
        if item.timeout is not None:
            self.deadline = now + item.timeout
            self.deadline_outcome = JobTimeout(item.name, item.timeout)
        if item.soft_timeout is not None:
            self.soft_deadline = now + item.soft_timeout
        self._unsent = memoryview(frame(FrameKind.CALL, item.data))
        self.write()

    def tell(self, kind: FrameKind) -> None:
        """Send a message about its job."""
        # The job in work is one more than those that are done. A child that reads no messages is
        # stopped, and its deadline ends it.
        message = frame(kind, pack_number(self.jobs_done + 1))
        with suppress(OSError):
            os.write(self._control.fileno(), message)

    def cancel(self, deadline: float) -> None:
        """Ask its job to end, and have it killed at a time if it has no earlier deadline."""
        self.tell(FrameKind.CANCEL)
        if self.deadline is None or deadline < self.deadline:
            self.deadline, self.deadline_outcome = deadline, CancelledError()

    def finish(self) -> WorkItem | None:
        """Count its job, which has ended; return it."""
        item, self.item, self.awaits = self.item, None, ""
        self.soft_deadline = None
        if self.state is ProcessWorkerState.BUSY:
            self.state = ProcessWorkerState.IDLE
            self.deadline = self.deadline_outcome = None
        self.jobs_done += 1
        return item

    @property
    def wants_to_write(self) -> bool:
        """Whether a part of its job is not sent yet."""
        return bool(self._unsent)

    def write(self) -> None:
        """Send as much as possible without blocking."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self.connection, self._unsent) :]
        except BlockingIOError:
            return
        except OSError:  # it died; the manager will reap it
            self._unsent = memoryview(b"")

    def read(self) -> list[tuple[FrameKind, bytes]] | None:
        """Return the messages that have arrived, or None if the connection has ended."""
        try:
            data = os.read(self.connection, _PIECE)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._frames.feed(data) if data else None

    def retire(self, deadline: float) -> None:
        """Let it exit by itself before the deadline."""
        self.state = ProcessWorkerState.RETIRING
        self.deadline, self.deadline_outcome = deadline, None
        self._close_connections()

    def kill(self, exit_outcome: BaseException | None = None) -> None:
        """Kill it and the processes that it has started.

        Args:
            exit_outcome: The outcome of its job; None for `WorkerDied`.
        """
        self.state = ProcessWorkerState.KILLED
        self.deadline = self.soft_deadline = None
        self.exit_outcome = exit_outcome
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except OSError:  # it does not lead a process group yet
            with suppress(OSError):
                os.kill(self._process.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Clean up after a process that has ended; return its exit code, if it is known."""
        self._process.join()
        code: int | None = self._process.exitcode
        self._close_exit_fd()
        with suppress(ValueError):  # another thread is waiting for it
            self._process.close()
        self._close_connections()
        return code

    def close_descriptors(self) -> None:
        """Close the parent's descriptors, in a forked child."""
        self._close_connections()
        self._close_exit_fd()

    def _close_connections(self) -> None:
        self._connection.close()
        self._control.close()

    def _close_exit_fd(self) -> None:
        # The process object closes the sentinel itself. It has none in a child that is just forked.
        if self.exit_fd != -1 and self.exit_fd != self._process.sentinel:
            os.close(self.exit_fd)
            self.exit_fd = -1

    def __repr__(self) -> str:
        return f"<ProcessWorker {self.state.value}>"


def _exit_fd_of(process: Any) -> int:
    # Rather than the sentinel, whose other end is inherited by processes that a job forks.
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        sentinel: int = process.sentinel
        return sentinel
