"""`ProcessWorker`: a child process, seen from the manager's thread. No other thread uses it."""

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
        initializer: Called in it before its first job.
        initargs: The arguments of the initializer.
    """

    def __init__(
        self,
        context: BaseContext,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        self.state = ProcessWorkerState.STARTING
        #: The job that it runs, or ran when it was killed.
        self.item: WorkItem | None = None
        #: When it is killed, on the manager's clock.
        self.deadline: float | None = None
        #: The outcome of its job if it dies; None for `WorkerDied`.
        self.exit_outcome: BaseException | None = None
        #: Why its initializer failed. The pool breaks when the process has exited.
        self.startup_error: str | None = None
        self.jobs_done = 0
        #: The id of the job that its job waits for; empty for none.
        self.awaits = ""
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
            Exception: If it cannot be started. Then its descriptors are closed.
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
        """Send it a job to run."""
        self.state = ProcessWorkerState.BUSY
        self.item = item
        self.deadline = None if item.timeout is None else now + item.timeout
        self._unsent = memoryview(frame(FrameKind.CALL, item.data))
        self.write()

    def finish(self) -> WorkItem | None:
        """Count its job, which has ended; return it."""
        item, self.item, self.awaits = self.item, None, ""
        if self.state is ProcessWorkerState.BUSY:
            self.state = ProcessWorkerState.IDLE
            self.deadline = None
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
        self.deadline = deadline
        self._connection.close()

    def kill(self, exit_outcome: BaseException | None = None) -> None:
        """Kill it and the processes that it has started.

        Args:
            exit_outcome: The outcome of its job; None for `WorkerDied`.
        """
        self.state = ProcessWorkerState.KILLED
        self.deadline = None
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
        self._connection.close()
        return code

    def close_descriptors(self) -> None:
        """Close the parent's descriptors, in a forked child."""
        self._connection.close()
        self._close_exit_fd()

    def _close_exit_fd(self) -> None:
        # The process object closes the sentinel itself.
        if self.exit_fd not in (-1, self._process.sentinel):
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
