"""`ProcessWorker`: a child process, as the manager's thread sees it. No other thread touches it."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from multiprocessing.context import BaseContext
from typing import Any

from dewar.tasks.engines.processes.backlog import WorkItem
from dewar.tasks.engines.processes.child import serve
from dewar.tasks.engines.processes.messages import FrameKind, Frames, frame

_PIECE = 1 << 20


class ProcessWorkerState(Enum):
    """Where a child is in its life.

    The moves: STARTING → IDLE ⇄ BUSY; from IDLE and STARTING to LEAVING; from any to KILLED.
    """

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    #: Its connection is closed, and it ends by itself.
    RETIRING = "retiring"
    KILLED = "killed"


class ProcessWorker:
    """A child process with its connection and the job that it runs.

    Args:
        context: How it is started.
        initializer: Called with `initargs` in it at first.
        initargs: See there.
    """

    def __init__(
        self,
        context: BaseContext,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        self.state = ProcessWorkerState.STARTING
        #: What it runs; None unless it is busy, or was when it was killed.
        self.item: WorkItem | None = None
        #: When it is killed, on the manager's clock.
        self.deadline: float | None = None
        #: The outcome of its job if it dies.
        self.exit_outcome: BaseException | None = None
        #: Why it could not begin. It breaks the pool, when its process has written its last.
        self.startup_error: str | None = None
        self.jobs_done = 0
        self._frames = Frames()
        self._unsent = memoryview(b"")
        self._connection, self._child_end = context.Pipe()
        self._process: Any = context.Process(  # type: ignore[attr-defined]  # each context has one
            target=serve, args=(self._child_end, initializer, initargs), name="dewar-task-worker"
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
            Exception: Whatever stands against it; then nothing is left.
        """
        try:
            self._process.start()
        except BaseException:
            self._connection.close()
            raise
        finally:
            self._child_end.close()
        os.set_blocking(self.connection, False)
        self.exit_fd = _exit_fd_of(self._process)

    def assign(self, item: WorkItem, now: float) -> None:
        """Have it run a job."""
        self.state = ProcessWorkerState.BUSY
        self.item = item
        self.deadline = None if item.timeout is None else now + item.timeout
        self._unsent = memoryview(frame(FrameKind.CALL, item.data))
        self.write()

    def finish(self) -> WorkItem | None:
        """Return what it ran, which has ended."""
        item, self.item = self.item, None
        if self.state is ProcessWorkerState.BUSY:
            self.state = ProcessWorkerState.IDLE
            self.deadline = None
        self.jobs_done += 1
        return item

    @property
    def wants_to_write(self) -> bool:
        """Whether not all was sent."""
        return bool(self._unsent)

    def write(self) -> None:
        """Send what can be sent at once."""
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self.connection, self._unsent) :]
        except BlockingIOError:
            return
        except OSError:  # it died; that will be seen
            self._unsent = memoryview(b"")

    def read(self) -> list[tuple[FrameKind, bytes]] | None:
        """Return the messages that have arrived, or None where there will be none any more."""
        try:
            data = os.read(self.connection, _PIECE)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._frames.feed(data) if data else None

    def retire(self, deadline: float) -> None:
        """Let it end by itself, before the deadline."""
        self.state = ProcessWorkerState.RETIRING
        self.deadline = deadline
        self._connection.close()

    def kill(self, exit_outcome: BaseException | None = None) -> None:
        """End it and what it started.

        Args:
            exit_outcome: The outcome of its job.
        """
        self.state = ProcessWorkerState.KILLED
        self.deadline = None
        self.exit_outcome = exit_outcome
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except OSError:  # it is no group's leader yet
            with suppress(OSError):
                os.kill(self._process.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Forget a process that has ended, and return its exit code, if it is known."""
        self._process.join()
        code: int | None = self._process.exitcode
        self._close_exit_fd()
        with suppress(ValueError):  # somebody else is just now waiting for it
            self._process.close()
        self._connection.close()
        return code

    def close_descriptors(self) -> None:
        """Close what belongs to the parent, in a child of a fork."""
        self._connection.close()
        self._close_exit_fd()

    def _close_exit_fd(self) -> None:
        # The sentinel is closed with the process object.
        if self.exit_fd not in (-1, self._process.sentinel):
            os.close(self.exit_fd)
            self.exit_fd = -1

    def __repr__(self) -> str:
        return f"<ProcessWorker {self.state.value}>"


def _exit_fd_of(process: Any) -> int:
    # Not the sentinel, where there is better: its other end is inherited by what a job forks.
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        sentinel: int = process.sentinel
        return sentinel
