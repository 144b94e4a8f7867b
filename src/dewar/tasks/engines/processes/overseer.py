"""`Overseer`: the one thread that watches all the child processes of a pool.

A job is bound to a process only when that process is free. So a process that dies, is stopped or
timed out takes its own job along and no other; another process takes its place.

Everything here happens in the overseer's thread, apart from `wake` and `ask_to_stop`.
"""

import json
import logging
import pickle
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial

from dewar.tasks.engines.phase import Phase
from dewar.tasks.engines.processes.backlog import Backlog, Waiting
from dewar.tasks.engines.processes.crossing import unpack_error
from dewar.tasks.engines.processes.frames import Kind
from dewar.tasks.engines.processes.member import Member, State
from dewar.tasks.engines.processes.startups import Startups
from dewar.tasks.engines.settling import fail
from dewar.tasks.errors import JobTimeout, WorkerDied
from dewar.tasks.job import Job
from dewar.tasks.progress import Progress

_log = logging.getLogger("concurrent.futures")
#: How long a process that was let go may take to end, in seconds.
_GRACE = 10.0


class Overseer:
    """Binds jobs to processes, and starts and ends these.

    Args:
        backlog: Where the jobs come from.
        most: How many processes there may be.
        make: Makes one.
        max_jobs: After how many jobs a process is replaced; None for never.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        backlog: Backlog,
        most: int,
        make: Callable[[], Member],
        max_jobs: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.members: list[Member] = []
        self.replaced = 0
        self._backlog = backlog
        self._most = most
        self._make = make
        self._max_jobs = max_jobs
        self._clock = clock
        self._startups = Startups()
        self._to_stop: deque[Job] = deque()
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = socket.socketpair()
        for end in (self._alarm, self._bell):
            end.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ, self._hear)

    def wake(self) -> None:
        """Have the overseer look at everything. Any thread, and a finalizer, may call it."""
        with suppress(OSError):  # full, so it will look; or closed, so it need not
            self._bell.send(b"\0")

    def ask_to_stop(self, job: Job) -> None:
        """Have the process killed that runs the job. Any thread may call it."""
        self._to_stop.append(job)
        self.wake()

    def run(self) -> None:
        """Work until no more jobs come and all processes have ended."""
        try:
            while self.members or len(self._backlog) or not self._backlog.is_ending:
                self._turn()
        except BaseException:  # noqa: BLE001  # nobody waits for this thread; the jobs are told
            _log.critical("Exception in the overseer of a TaskPool:", exc_info=True)
            self._break("The pool's overseer failed; see the log.")
            while self.members:
                self._see_events()
        finally:
            self.disown()

    def disown(self) -> None:
        """Close all descriptors."""
        for member in self.members:
            member.disown()
        self._selector.close()
        self._alarm.close()
        self._bell.close()

    def _turn(self) -> None:
        self._see_events()
        self._stop_asked()
        self._stop_overdue()
        self._assign()
        self._grow()
        self._dismiss()

    def _see_events(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            key.data()

    def _patience(self) -> float | None:
        """Return how long nothing has to be done, in seconds; None for until something happens."""
        now = self._clock()
        times = [member.deadline for member in self.members if member.deadline is not None]
        if len(self._backlog) and self._startups.until > now:
            times.append(self._startups.until)
        return max(0.0, min(times) - now) if times else None

    def _hear(self) -> None:
        with suppress(OSError):
            while self._alarm.recv(4096):
                pass

    def _stop_asked(self) -> None:
        while self._to_stop:
            job = self._to_stop.popleft()
            for member in self.members:
                if member.work is not None and member.work.job is job:
                    member.kill(CancelledError())

    def _stop_overdue(self) -> None:
        now = self._clock()
        for member in self.members:
            if member.deadline is None or member.deadline > now:
                continue
            work = member.work
            member.kill(None if work is None else JobTimeout(work.name, work.timeout or 0.0))

    def _assign(self) -> None:
        for member in self.members:
            if member.state is not State.IDLE:
                continue
            work = self._backlog.take()
            if work is None:
                return
            member.give(work, self._clock())
            if member.wants_to_write:
                self._listen(member)

    def _listen(self, member: Member) -> None:
        """Wait for what a member sends, and where something is left to send, for room."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if member.wants_to_write else 0)
        self._selector.modify(member.connection, events, partial(self._talk, member))

    def _grow(self) -> None:
        if self._backlog.phase is Phase.BROKEN:
            return
        starting = sum(member.state is State.STARTING for member in self.members)
        for _ in range(min(len(self._backlog) - starting, self._most - len(self.members))):
            if self._startups.until > self._clock():
                return
            self._start()

    def _start(self) -> None:
        member = self._make()
        # At first: a child that is forked has to close what it inherits of it.
        self.members.append(member)
        try:
            member.start()
        except Exception as error:  # noqa: BLE001  # pickling the initializer may raise anything
            self.members.remove(member)
            if not isinstance(error, OSError):
                self._break(f"A process cannot be started: {error!r}", error)
                return
            self._startups.note_death(self._clock())
            self._give_up_if_hopeless(f"it cannot be started: {error}")
            return
        self._selector.register(
            member.connection, selectors.EVENT_READ, partial(self._talk, member)
        )
        self._selector.register(member.death, selectors.EVENT_READ, partial(self._bury, member))

    def _dismiss(self) -> None:
        """Let those go that are not needed: all at the end, some after many jobs."""
        at_end = self._backlog.is_ending and not len(self._backlog)
        for member in self.members:
            worn = self._max_jobs is not None and member.jobs_done >= self._max_jobs
            idle = member.state is State.IDLE
            if (idle and (worn or at_end)) or (at_end and member.state is State.STARTING):
                self._let_go(member)

    def _let_go(self, member: Member) -> None:
        self._deafen(member)
        member.leave(self._clock() + _GRACE)

    def _deafen(self, member: Member) -> None:
        # It may have closed the connection, or we.
        with suppress(KeyError, OSError):
            self._selector.unregister(member.connection)

    def _talk(self, member: Member) -> None:
        if member not in self.members or member.state is State.LEAVING:
            return  # since the event it has died, or was let go
        if member.wants_to_write:
            member.write()
            self._listen(member)
        messages = member.read()
        if messages is None:
            # Its end is on its way; nothing is given to it any more.
            self._deafen(member)
            if member.state is State.IDLE:
                self._let_go(member)
            return
        for kind, payload in messages:
            self._note(member, kind, payload)

    def _note(self, member: Member, kind: Kind, payload: bytes) -> None:
        if kind is Kind.READY:
            self._startups.note_ready()
            if member.state is State.STARTING:
                member.state = State.IDLE
        elif kind is Kind.BROKEN:
            member.complaint = f"The initializer of a process failed:\n{payload.decode()}"
            self._let_go(member)
        elif kind is Kind.PROGRESS:
            if member.work is not None:
                member.work.job.progress = Progress(*json.loads(payload))
        else:
            work = member.finish()
            self._backlog.note_finished()
            if work is not None:
                _settle(work, kind, payload)

    def _bury(self, member: Member) -> None:
        """Take leave of a process that has ended."""
        was = member.state
        if was is not State.LEAVING:
            # What it sent before it died counts.
            while messages := member.read():
                for message in messages:
                    self._note(member, *message)
            self._deafen(member)
        self._selector.unregister(member.death)
        self.members.remove(member)
        code = member.bury()
        work = member.work
        if work is not None:
            self._backlog.note_finished()
            work.job.set_exception(member.fate or WorkerDied(_obituary(work, code)))
        if member.complaint is not None:
            self._break(member.complaint)
        elif was is State.STARTING:
            self._startups.note_death(self._clock())
            self._give_up_if_hopeless(f"it ended with exit code {code}")
        elif was is not State.LEAVING:
            self.replaced += 1

    def _give_up_if_hopeless(self, what: str) -> None:
        if self._startups.is_hopeless:
            self._break(
                f"No process of the pool came as far as its first job ({what}). The main module"
                " must be importable without starting work: keep that under if __name__ =="
                ' "__main__". What its process wrote to stderr says more.'
            )

    def _break(self, why: str, cause: BaseException | None = None) -> None:
        self._backlog.break_up(why)
        for job in self._backlog.drain():
            fail(job, _broken(why, cause))
        for member in self.members:
            if member.state is not State.LEAVING:
                member.kill(_broken(why, cause))

    def __repr__(self) -> str:
        return f"<Overseer of {self.members!r}>"


def _settle(work: Waiting, kind: Kind, payload: bytes) -> None:
    if kind is Kind.ERROR:
        work.job.set_exception(unpack_error(payload))
        return
    try:
        result = pickle.loads(payload)  # noqa: S301  # from our own child
    except BaseException as error:  # noqa: BLE001  # the result's own code may raise anything
        error.add_note(f"It was the result of {work.name} that could not be unpickled here.")
        work.job.set_exception(error)
    else:
        work.job.set_result(result)


def _broken(why: str, cause: BaseException | None) -> BrokenProcessPool:
    error = BrokenProcessPool(why)
    error.__cause__ = cause
    return error


def _obituary(work: Waiting, code: int | None) -> str:
    how = "for a reason unknown" if code is None else f"with exit code {code}"
    if code is not None and code < 0:
        how = f"by signal {-code}"
    return (
        f"The process that ran {work.name} ended {how}, and the job with it. Other jobs are not"
        " touched. If it was killed for its memory, run fewer at once: TaskPool(processes=...)."
    )
