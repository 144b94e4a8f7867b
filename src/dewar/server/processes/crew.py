"""The worker processes themselves: made, told, killed and reaped, as the plan has it."""

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from socket import socket

from dewar.server.processes.channel import Channel, Command, Report, open_channel
from dewar.server.processes.fork import EXIT_LOAD, fork
from dewar.server.processes.plan import Deed, Order, Plan
from dewar.server.processes.scoreboard import Scoreboard
from dewar.server.processes.source import Source
from dewar.server.processes.state import WorkerState
from dewar.server.processes.worker import Assignment, Worker
from dewar.server.settings import Settings

_logger = logging.getLogger("dewar.server")

_COMMANDS = {Deed.RETIRE: Command.RETIRE, Deed.STOP: Command.STOP, Deed.QUIT: Command.QUIT}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What all workers have in common.

    Attributes:
        listeners: Where clients come from; shared by all.
        forget: Closes, in a fresh worker, what is the supervisor's alone.
    """

    settings: Settings
    source: Source
    listeners: list[socket]
    forget: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Member:
    """A worker process, from outside."""

    number: int
    pid: int
    channel: Channel


class Crew:
    """Carries out what the plan orders, and tells it what became of it.

    Args:
        job: What the workers do.
        plan: Who is told what happens.
        board: Where the workers show what they do.

    Attributes:
        failure: What a worker said last of why it could not load the application.
        is_told_to_stop: Whether the application, in a worker, has asked for the server's stop.
    """

    def __init__(self, job: Job, plan: Plan, board: Scoreboard) -> None:
        self._job = job
        self._plan = plan
        self._board = board
        self._members: dict[int, Member] = {}
        self.failure = ""
        self.is_told_to_stop = False

    def __repr__(self) -> str:
        return f"<Crew of {len(self._members)} for {self._job.source.name}>"

    @property
    def channels(self) -> Mapping[int, Channel]:
        """The supervisor's ends of the channels to the workers, by number."""
        return {number: member.channel for number, member in self._members.items()}

    def carry_out(self, order: Order) -> None:
        """Do what was decided."""
        if order.deed is Deed.FORK:
            self._fork()
            return
        member = self._members[order.number]
        if order.reason:
            _logger.warning(
                "Worker %d (process %d): %s: %s.",
                member.number, member.pid, order.reason, order.deed.name,
            )  # fmt: skip
        if order.deed is Deed.ABORT:
            self._send_signal(member, signal.SIGABRT)
        elif order.deed is Deed.KILL:
            self._send_signal(member, signal.SIGKILL)
        else:
            loads = self._board.state_of(member.number) is WorkerState.STARTING
            member.channel.send_nowait(_COMMANDS[order.deed])
            if loads:
                # It does not listen yet. If it has begun to in this very moment, the signal is
                # no more than a wish, and the command tells the rest.
                self._send_signal(member, signal.SIGTERM)
        self._show_state(member.number)

    def listen_to(self, number: int, now: float) -> None:
        """Take in what a worker has said."""
        for report, text in self._members[number].channel.reports():
            if report is Report.READY:
                self._plan.note_ready(number, now)
                self._show_state(number)
            elif report is Report.WANTS_OUT:
                self._plan.note_wants_out(number)
            elif report is Report.STOP_ALL:
                self.is_told_to_stop = True
            else:
                self.failure = text

    def tell_all(self, command: Command) -> None:
        """Tell all workers the same."""
        for member in self._members.values():
            member.channel.send_nowait(command)

    def reap(self) -> list[int]:
        """Take note of workers that have ended; return their numbers."""
        gone = []
        for member in list(self._members.values()):
            try:
                pid, status = os.waitpid(member.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = member.pid, 0  # somebody else has waited for it
            if pid:
                self._bury(member, status)
                gone.append(member.number)
        return gone

    def forget(self) -> None:
        """Close, in a fresh process, the supervisor's ends of all channels.

        An end that a sibling kept would hide from a worker that the supervisor has died.
        """
        for member in self._members.values():
            member.channel.close()

    def kill_all(self) -> None:
        """End all workers at once, because the supervisor itself is at its end."""
        for member in list(self._members.values()):
            self._send_signal(member, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(member.pid, 0)
            member.channel.close()
            self._board.release(member.number)
        self._members.clear()

    def _fork(self) -> None:
        now = time.monotonic()
        number = self._board.maybe_free()
        if number is None:
            self._plan.note_no_fork(now)
            return
        self._board.reserve(number, self._plan.generation, now)
        ours, theirs = open_channel()
        try:
            pid = fork(lambda: self._be_worker(number, ours, theirs))
        except OSError as error:
            ours.close()
            theirs.close()
            _logger.error("No worker can be forked: %s. Trying again.", error)  # noqa: TRY400
            self._plan.note_no_fork(now)
            return
        theirs.close()
        self._board.assign(number, pid)
        self._members[number] = Member(number, pid, ours)
        self._plan.note_forked(number, now)

    def _be_worker(self, number: int, ours: Channel, theirs: Channel) -> int:
        """Run in the child: let go of the supervisor's things, then serve."""
        ours.close()
        self.forget()
        job = self._job
        job.forget()
        return Worker(
            Assignment(
                settings=job.settings,
                source=job.source,
                listeners=list(job.listeners),
                slot=self._board.slot(number),
                channel=theirs,
            )
        ).run()

    def _bury(self, member: Member, status: int) -> None:
        now = time.monotonic()
        self.listen_to(member.number, now)  # its last words
        member.channel.close()
        del self._members[member.number]
        self._board.release(member.number)
        before = self._plan.state_of(member.number)
        if self._plan.note_gone(member.number, now):
            loading = " while it loaded the application" * (before is WorkerState.STARTING)
            ended = describe_status(status)
            _logger.error("Worker %d (process %d) %s%s.", member.number, member.pid, ended, loading)
            if before is WorkerState.STARTING and not self.failure:
                self.failure = f"A worker {ended}{loading}."
        elif before is WorkerState.ABORTED:
            _logger.error("Worker %d (process %d) was hung.", member.number, member.pid)

    def _send_signal(self, member: Member, number: int) -> None:
        with suppress(ProcessLookupError):  # not reaped yet, but on some systems gone already
            os.kill(member.pid, number)

    def _show_state(self, number: int) -> None:
        self._board.set_state(number, self._plan.state_of(number))


def describe_status(status: int) -> str:
    """Return what `os.waitpid` says of an end in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        hint = " (it could not load the application)" if code == EXIT_LOAD else ""
        return f"ended with status {code}{hint}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
