"""`Member`: a child process, as the overseer's thread sees it. No other thread touches it."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from multiprocessing.context import BaseContext
from typing import Any

from dewar.tasks.engines.processes.backlog import Waiting
from dewar.tasks.engines.processes.child import serve
from dewar.tasks.engines.processes.frames import Frames, Kind, frame

_PIECE = 1 << 20


class State(Enum):
    """Where a child is in its life.

    The moves: STARTING → IDLE ⇄ BUSY; from IDLE and STARTING to LEAVING; from any to KILLED.
    """

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    #: Its connection is closed, and it ends by itself.
    LEAVING = "leaving"
    KILLED = "killed"


class Member:
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
        self.state = State.STARTING
        #: What it runs; None unless it is busy, or was when it was killed.
        self.work: Waiting | None = None
        #: When it is killed, on the overseer's clock.
        self.deadline: float | None = None
        #: The outcome of its job if it dies.
        self.fate: BaseException | None = None
        #: Why it could not begin. It breaks the pool, when its process has written its last.
        self.complaint: str | None = None
        self.jobs_done = 0
        self._frames = Frames()
        self._outbox = memoryview(b"")
        self._connection, self._childs = context.Pipe()
        self._process: Any = context.Process(  # type: ignore[attr-defined]  # each context has one
            target=serve, args=(self._childs, initializer, initargs), name="dewar-task-worker"
        )
        #: Readable when the process has ended.
        self.death = -1

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
            self._childs.close()
        os.set_blocking(self.connection, False)
        self.death = _death_of(self._process)

    def give(self, work: Waiting, now: float) -> None:
        """Have it run a job."""
        self.state = State.BUSY
        self.work = work
        self.deadline = None if work.timeout is None else now + work.timeout
        self._outbox = memoryview(frame(Kind.CALL, work.data))
        self.write()

    def finish(self) -> Waiting | None:
        """Return what it ran, which has ended."""
        work, self.work = self.work, None
        if self.state is State.BUSY:
            self.state = State.IDLE
            self.deadline = None
        self.jobs_done += 1
        return work

    @property
    def wants_to_write(self) -> bool:
        """Whether not all was sent."""
        return bool(self._outbox)

    def write(self) -> None:
        """Send what can be sent at once."""
        try:
            while self._outbox:
                self._outbox = self._outbox[os.write(self.connection, self._outbox) :]
        except BlockingIOError:
            return
        except OSError:  # it died; that will be seen
            self._outbox = memoryview(b"")

    def read(self) -> list[tuple[Kind, bytes]] | None:
        """Return the messages that have arrived, or None where there will be none any more."""
        try:
            data = os.read(self.connection, _PIECE)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return self._frames.feed(data) if data else None

    def leave(self, deadline: float) -> None:
        """Let it end by itself, before the deadline."""
        self.state = State.LEAVING
        self.deadline = deadline
        self._connection.close()

    def kill(self, fate: BaseException | None = None) -> None:
        """End it and what it started.

        Args:
            fate: The outcome of its job.
        """
        self.state = State.KILLED
        self.deadline = None
        self.fate = fate
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except OSError:  # it is no group's leader yet
            with suppress(OSError):
                os.kill(self._process.pid, signal.SIGKILL)

    def bury(self) -> int | None:
        """Forget a process that has ended, and return its exit code, if it is known."""
        self._process.join()
        code: int | None = self._process.exitcode
        self._close_death()
        with suppress(ValueError):  # somebody else is just now waiting for it
            self._process.close()
        self._connection.close()
        return code

    def disown(self) -> None:
        """Close what belongs to the parent, in a child of a fork."""
        self._connection.close()
        self._close_death()

    def _close_death(self) -> None:
        # The sentinel is closed with the process object.
        if self.death not in (-1, self._process.sentinel):
            os.close(self.death)
            self.death = -1

    def __repr__(self) -> str:
        return f"<Member {self.state.value}>"


def _death_of(process: Any) -> int:
    # Not the sentinel, where there is better: its other end is inherited by what a job forks.
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        sentinel: int = process.sentinel
        return sentinel
